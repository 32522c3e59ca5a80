"""Benchmarks of rules and alerts."""
