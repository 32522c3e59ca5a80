"""The statistical detector: is this value unusual for its series."""
