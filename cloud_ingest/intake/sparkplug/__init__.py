"""Sparkplug B: births, sessions and reports of gateways, decoded into samples."""
