"""Scorers of the benchmarks: how a detector's work becomes a figure."""
