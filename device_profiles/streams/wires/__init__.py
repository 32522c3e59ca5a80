"""One file for each wire protocol; each defines ``WIRE``."""
