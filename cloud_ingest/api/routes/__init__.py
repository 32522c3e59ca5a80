"""The endpoints of the HTTP API, one file a subject (contract C4)."""
