"""Backfill: late samples, judged by their own time once they have stopped coming in."""
