"""Indices and regulated averages: pure functions with citations, and their values at stations."""
