"""Simulated sensors, buses and fleets: they stand in for the hardware, on the wire and repeatably."""
