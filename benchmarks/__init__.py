"""Benchmarks that anyone can run: ``make bench`` or ``make bench ONLY=name``."""
