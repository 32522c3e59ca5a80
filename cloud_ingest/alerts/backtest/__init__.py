"""Backtests: rules run over stored history, as text, JSON and a plot."""
