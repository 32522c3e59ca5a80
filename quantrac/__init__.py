"""Quantrac: the command line and the demonstration."""

__version__ = "0.1.0"
