"""Thousands of simulated gateways at MQTT level, each a conforming Sparkplug edge node."""
