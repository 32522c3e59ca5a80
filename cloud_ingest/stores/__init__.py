"""Stores of samples behind one protocol; adding one is adding one file here."""
