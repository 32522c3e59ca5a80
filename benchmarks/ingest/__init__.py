"""Benchmarks of ingest, from message to store."""
