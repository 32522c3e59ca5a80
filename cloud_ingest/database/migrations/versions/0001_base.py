"""Stations, gateways, devices, series, the ledger of batches, quarantine and events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.BigInteger
_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NAME = sa.String(255)


def upgrade() -> None:
    """Make the tables."""
    _describe_the_field()
    _keep_account()
    _keep_what_went_wrong()


def _describe_the_field() -> None:
    op.create_table(
        "stations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("group_id", sa.String(64), nullable=False),
        sa.Column("latitude", sa.Float),
        sa.Column("longitude", sa.Float),
        sa.Column("former_unit", sa.Text),
        sa.Column("current_unit", sa.Text),
    )
    op.create_table(
        "gateways",
        sa.Column("id", _NAME, primary_key=True),
        sa.Column("group_id", _NAME, nullable=False),
        sa.Column("station_id", _NAME, nullable=False, server_default=""),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("acknowledges", sa.Boolean, nullable=False),
        sa.Column("since_ms", _TIME, nullable=False),
        sa.Column("last_seen_ms", _TIME),
        sa.Column("born_ms", _TIME),
        sa.Column("bdseq", sa.Integer),
        sa.Column("backlog", _TIME),
        sa.Column("backlog_oldest_ms", _TIME),
        sa.Column("samples_measured", _TIME),
        sa.Column("samples_given_up", _TIME),
        sa.Column("next_batch", _TIME),
        sa.Column("properties", sa.JSON, nullable=False),
    )
    op.create_table(
        "devices",
        sa.Column("gateway_id", _NAME, primary_key=True),
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("since_ms", _TIME, nullable=False),
        sa.Column("last_seen_ms", _TIME),
        sa.Column("profile", sa.Text, nullable=False, server_default=""),
        sa.Column("properties", sa.JSON, nullable=False),
        sa.Column("diagnostics", sa.JSON, nullable=False),
    )
    op.create_table(
        "series",
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("gateway_id", _NAME, nullable=False),
        sa.Column("device", _NAME, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("group_id", _NAME, nullable=False),
        sa.Column("station_id", _NAME, nullable=False),
        sa.Column("quantity", sa.String(64), nullable=False),
        sa.Column("unit", sa.String(64), nullable=False),
        sa.Column("interval_ms", _TIME, nullable=False, server_default="0"),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("profile", sa.Text, nullable=False, server_default=""),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.UniqueConstraint("gateway_id", "device", "metric"),
    )


def _keep_account() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", _TIME, nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("gateway_id", _NAME, primary_key=True),
        sa.Column("through", _TIME, nullable=False),
        sa.Column("ranges", sa.JSON, nullable=False),
        sa.Column("samples_stored", _TIME, nullable=False),
        sa.Column("known", sa.Boolean, nullable=False),
    )
    op.create_table(
        "ledger_gaps",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("gateway_id", _NAME, nullable=False, index=True),
        sa.Column("first", _TIME, nullable=False),
        sa.Column("last", _TIME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("time_ms", _TIME, nullable=False),
    )
    op.create_table(
        "ledger_days",
        sa.Column("gateway_id", _NAME, primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("stored", _TIME, nullable=False),
        sa.Column("late", _TIME, nullable=False),
        sa.Column("measured", _TIME, nullable=False),
        sa.Column("given_up", _TIME, nullable=False),
    )


def _keep_what_went_wrong() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("time_ms", _TIME, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("gateway_id", _NAME),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("form", sa.String(16), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("time_ms", _TIME, nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("group_id", _NAME, nullable=False),
        sa.Column("gateway_id", _NAME, nullable=False),
        sa.Column("device", _NAME),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )
