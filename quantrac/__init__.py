"""Quantrac: the command line, and the demonstration that runs the whole on one machine."""

__version__ = "0.1.0"
