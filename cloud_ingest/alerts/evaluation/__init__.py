"""Evaluation: the rule engine over live samples, the no-data watch, and what both keep over a restart."""
