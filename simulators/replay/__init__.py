"""Recorded data shown as if it were measured now."""
