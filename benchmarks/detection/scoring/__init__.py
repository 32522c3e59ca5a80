"""Scores of the detectors on public data sets."""
