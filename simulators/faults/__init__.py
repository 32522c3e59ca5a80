"""Faults of devices and connections, scheduled or random, and repeatable for a seed."""
