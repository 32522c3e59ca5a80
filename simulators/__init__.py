"""Simulated sensors, buses and fleets: they replace the hardware and are repeatable."""
