"""Destroys things at random and counts what survived. ``python -m tests.chaos --faults 200``."""
