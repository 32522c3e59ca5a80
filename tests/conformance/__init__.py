"""Checks the wire between broker and client against Sparkplug B 3.0, for both sides and for peers."""
