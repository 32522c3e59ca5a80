"""Acquisition: buses and devices, read on schedule over serial lines and TCP."""
