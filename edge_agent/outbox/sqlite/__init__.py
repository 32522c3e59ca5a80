"""The SQLite file of the outbox: row format, checksums, tables, aliases and recovery."""
