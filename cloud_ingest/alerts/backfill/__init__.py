"""Backfill: late samples, evaluated by their own time once no more of them arrive."""
