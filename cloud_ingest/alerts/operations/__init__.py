"""Operations: what people do with alerts (commands) and what they read of them (queries)."""

from cloud_ingest.alerts.operations.commands import AlertCommands
from cloud_ingest.alerts.operations.queries import AlertFilter, AlertQueries

__all__ = ["AlertCommands", "AlertFilter", "AlertQueries"]
