"""Relational state: stations, gateways, series, ledger, alerts. SQLite or PostgreSQL."""

from cloud_ingest.database.connection import Database, DatabaseUnavailable

__all__ = ["Database", "DatabaseUnavailable"]
