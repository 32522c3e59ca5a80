"""Benchmarks of anomaly and fault detection."""
