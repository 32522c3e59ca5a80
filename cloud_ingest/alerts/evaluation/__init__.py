"""Evaluation: what opens and changes alerts by itself: rules over live samples, outages, silence ends."""
