"""Alerts: evaluation of rules over samples, the life of each alert, and its records."""

from cloud_ingest.alerts.model import Alert, AlertConflict, AlertEvent, AlertNotFound
from cloud_ingest.alerts.service import AlertService

__all__ = ["Alert", "AlertConflict", "AlertEvent", "AlertNotFound", "AlertService"]
