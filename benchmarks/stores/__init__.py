"""Benchmarks of the sample stores."""
