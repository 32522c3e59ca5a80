"""Recorded data as a source of readings."""
