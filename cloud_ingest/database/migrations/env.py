"""Runs the steps over the connection that ``Database.migrate`` hands in."""

from alembic import context

from cloud_ingest.database.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
