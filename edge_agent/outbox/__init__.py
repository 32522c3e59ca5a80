"""The outbox: the samples that the gateway has measured and the cloud has not confirmed."""

from edge_agent.outbox.outbox import Outbox
from edge_agent.outbox.sqlite.database import OutboxError
from edge_agent.outbox.sqlite.row_format import Report, StoredReport
from edge_agent.outbox.status import OutboxStatus, read_status

__all__ = ["Outbox", "OutboxError", "OutboxStatus", "Report", "StoredReport", "read_status"]
