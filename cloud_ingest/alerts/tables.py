"""The tables of alerts and notifications. Migrations 0002 and later create them."""

import sqlalchemy as sa

from cloud_ingest.database.schema import RowId, Time, metadata

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("rule", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column(
        "subject", sa.Text, nullable=False
    ),  # gateway/device/metric, or what an outage covers
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("open_key", sa.Text, unique=True),  # rule and subject while open: one open alert each
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
    sa.Column("muted_by", RowId, key="inhibited_by"),
    sa.Column("silenced", sa.Boolean, nullable=False),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("acknowledged_ms", Time),
    sa.Column("assignee", sa.Text),
    sa.Column("name", sa.JSON, nullable=False),
    sa.Column("text", sa.JSON, nullable=False),
    sa.Column("legal", sa.JSON),
    sa.Index("ix_alerts_rule_subject_start", "rule", "subject", "start_ms"),
)

spans = sa.Table(
    "alert_spans",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("alert_id", RowId, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("rule", sa.String(200), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("start_ms", Time, nullable=False),
    sa.Column("end_ms", Time),
    sa.UniqueConstraint("rule", "subject", "start_ms"),
)  # fmt: skip

history = sa.Table(
    "alert_history",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("alert_id", RowId, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("time_ms", Time, nullable=False),
    sa.Column("recorded_ms", Time, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("by", sa.Text),
    sa.Column("text", sa.Text),
    sa.Column("value", sa.Float),
)  # fmt: skip

silences = sa.Table(
    "silences",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),  # silence | maintenance | calibration
    sa.Column("rule", sa.String(200)),
    sa.Column("station", sa.String(255)),
    sa.Column("gateway", sa.String(255)),
    sa.Column("device", sa.String(255)),
    sa.Column("metric", sa.Text),
    sa.Column("start_ms", Time, nullable=False),
    sa.Column("end_ms", Time),
    sa.Column("until_resolved", RowId),  # the alert whose end is this silence's end
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_ms", Time, nullable=False),
    sa.Column("ended_by", sa.Text),
)

late = sa.Table(
    "late_data",
    metadata,
    sa.Column("series", sa.Text, primary_key=True),  # gateway/device/metric
    sa.Column("from_ms", Time, nullable=False),
    sa.Column("to_ms", Time, nullable=False),
    sa.Column("noted_ms", Time, nullable=False),
)

checkpoints = sa.Table(
    "rule_checkpoints",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("saved_ms", Time, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", RowId, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),  # the same news is queued once
    sa.Column("alert_id", RowId, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("channel", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("station", sa.String(255)),
    sa.Column("created_ms", Time, nullable=False),
    sa.Column("due_ms", Time, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # waiting | sent | failed | dropped
    sa.Column("sent_ms", Time),
    sa.Column("error", sa.Text),
    sa.Index("ix_notifications_state_due", "state", "due_ms"),
)  # fmt: skip
