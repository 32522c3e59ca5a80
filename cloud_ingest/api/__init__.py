"""The HTTP API (contract C4) and the web page's files."""
