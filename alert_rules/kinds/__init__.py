"""The kinds of condition: one file each, found by itself when it is there."""
