"""The words and the wire that edge and cloud share. No I/O, and nothing of ours is imported."""
