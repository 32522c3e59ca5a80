"""Gateways by the thousand at MQTT level, each a conforming Sparkplug edge node."""
