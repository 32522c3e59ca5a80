"""The rows of the outbox's SQLite file: format, checksums, tables, aliases and recovery."""
