"""Alerts, their spans and history, silences, late data, checkpoints of rules, notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Time = sa.BigInteger
RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _keep_alerts()
    _keep_work()


def _keep_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", RowId, primary_key=True),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("open_key", sa.Text, unique=True),
        sa.Column("station", sa.String(255), index=True),
        sa.Column("gateway", sa.String(255)),
        sa.Column("device", sa.String(255)),
        sa.Column("metric", sa.Text),
        sa.Column("quantity", sa.String(64)),
        sa.Column("unit", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("start_ms", Time, nullable=False),
        sa.Column("fired_ms", Time),
        sa.Column("end_ms", Time),
        sa.Column("updated_ms", Time, nullable=False, index=True),
        sa.Column("value", sa.Float),
        sa.Column("peak", sa.Float),
        sa.Column("limit_value", sa.Float),
        sa.Column("comparison", sa.String(16)),
        sa.Column("retrospective", sa.Boolean, nullable=False),
        sa.Column("fires", sa.Integer, nullable=False),
        sa.Column("flapping", sa.Boolean, nullable=False),
        sa.Column("muted_by", RowId),
        sa.Column("silenced", sa.Boolean, nullable=False),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledged_ms", Time),
        sa.Column("assignee", sa.Text),
        sa.Column("name", sa.JSON, nullable=False),
        sa.Column("text", sa.JSON, nullable=False),
        sa.Column("legal", sa.JSON),
        sa.Index("ix_alerts_rule_subject_start", "rule", "subject", "start_ms"),
    )
    op.create_table(
        "alert_spans",
        sa.Column("id", RowId, primary_key=True),
        sa.Column(
            "alert_id",
            RowId,
            sa.ForeignKey("alerts.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("rule", sa.String(200), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("start_ms", Time, nullable=False),
        sa.Column("end_ms", Time),
        sa.UniqueConstraint("rule", "subject", "start_ms"),
    )
    op.create_table(
        "alert_history",
        sa.Column("id", RowId, primary_key=True),
        sa.Column(
            "alert_id",
            RowId,
            sa.ForeignKey("alerts.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("time_ms", Time, nullable=False),
        sa.Column("recorded_ms", Time, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("by", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("value", sa.Float),
    )


def _keep_work() -> None:
    op.create_table(
        "silences",
        sa.Column("id", RowId, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(200)),
        sa.Column("station", sa.String(255)),
        sa.Column("gateway", sa.String(255)),
        sa.Column("device", sa.String(255)),
        sa.Column("metric", sa.Text),
        sa.Column("start_ms", Time, nullable=False),
        sa.Column("end_ms", Time),
        sa.Column("until_resolved", RowId),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_ms", Time, nullable=False),
        sa.Column("ended_by", sa.Text),
    )
    op.create_table(
        "late_data",
        sa.Column("series", sa.Text, primary_key=True),
        sa.Column("from_ms", Time, nullable=False),
        sa.Column("to_ms", Time, nullable=False),
        sa.Column("noted_ms", Time, nullable=False),
    )
    op.create_table(
        "rule_checkpoints",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("saved_ms", Time, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "notifications",
        sa.Column("id", RowId, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column(
            "alert_id",
            RowId,
            sa.ForeignKey("alerts.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("channel", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("station", sa.String(255)),
        sa.Column("created_ms", Time, nullable=False),
        sa.Column("due_ms", Time, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sent_ms", Time),
        sa.Column("error", sa.Text),
        sa.Index("ix_notifications_state_due", "state", "due_ms"),
    )
