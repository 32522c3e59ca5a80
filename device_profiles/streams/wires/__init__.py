"""One file for each stream protocol; each defines ``WIRE``."""
