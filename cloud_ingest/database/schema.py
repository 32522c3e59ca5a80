"""The tables of ingest. Every table of the cloud is in ``metadata``; times are UTC milliseconds.

Alembic's steps in ``migrations/versions`` make them; these definitions are what queries use.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

Time = sa.BigInteger
RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")

stations = sa.Table(
    "stations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("group_id", sa.String(64), nullable=False),
    sa.Column("latitude", sa.Float),
    sa.Column("longitude", sa.Float),
    sa.Column("former_unit", sa.Text),  # before July 2025
    sa.Column("current_unit", sa.Text),
)

gateways = sa.Table(
    "gateways",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("group_id", sa.String(255), nullable=False),
    sa.Column("station_id", sa.String(255), nullable=False, server_default=""),
    sa.Column("online", sa.Boolean, nullable=False),
    sa.Column("acknowledges", sa.Boolean, nullable=False),
    sa.Column("since_ms", Time, nullable=False),
    sa.Column("last_seen_ms", Time),
    sa.Column("born_ms", Time),
    sa.Column("bdseq", sa.Integer),
    sa.Column("backlog", Time),
    sa.Column("backlog_oldest_ms", Time),
    sa.Column("samples_measured", Time),
    sa.Column("samples_given_up", Time),
    sa.Column("next_batch", Time),
    sa.Column("properties", sa.JSON, nullable=False),
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("gateway_id", sa.String(255), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("online", sa.Boolean, nullable=False),
    sa.Column("since_ms", Time, nullable=False),
    sa.Column("last_seen_ms", Time),
    sa.Column("profile", sa.Text, nullable=False, server_default=""),
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("diagnostics", sa.JSON, nullable=False),
)

series = sa.Table(
    "series",
    metadata,
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("gateway_id", sa.String(255), nullable=False),
    sa.Column("device", sa.String(255), nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("group_id", sa.String(255), nullable=False),
    sa.Column("station_id", sa.String(255), nullable=False),
    sa.Column("quantity", sa.String(64), nullable=False),
    sa.Column("unit", sa.String(64), nullable=False),
    sa.Column("interval_ms", Time, nullable=False, server_default="0"),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("profile", sa.Text, nullable=False, server_default=""),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.UniqueConstraint("gateway_id", "device", "metric"),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", Time, nullable=False),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("gateway_id", sa.String(255), primary_key=True),
    sa.Column("through", Time, nullable=False),  # every batch up to this one is accounted for
    sa.Column("ranges", sa.JSON, nullable=False),  # [[first, last], ...] above it
    sa.Column("samples_stored", Time, nullable=False),
    sa.Column("known", sa.Boolean, nullable=False),
)

ledger_gaps = sa.Table(
    "ledger_gaps",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("gateway_id", sa.String(255), nullable=False, index=True),
    sa.Column("first", Time, nullable=False),
    sa.Column("last", Time, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("time_ms", Time, nullable=False),
)

ledger_days = sa.Table(
    "ledger_days",
    metadata,
    sa.Column("gateway_id", sa.String(255), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),  # of the samples' own time, UTC
    sa.Column("stored", Time, nullable=False),
    sa.Column("late", Time, nullable=False),
    sa.Column("measured", Time, nullable=False),
    sa.Column("given_up", Time, nullable=False),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("time_ms", Time, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("gateway_id", sa.String(255)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("form", sa.String(16), nullable=False),  # message | samples
    sa.Column("payload", sa.LargeBinary, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("time_ms", Time, nullable=False, index=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("group_id", sa.String(255), nullable=False),
    sa.Column("gateway_id", sa.String(255), nullable=False),
    sa.Column("device", sa.String(255)),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)
