"""Data types, formats and codecs that edge and cloud share. No I/O apart from reading the clock.

Imports nothing else of Quantrac.
"""
