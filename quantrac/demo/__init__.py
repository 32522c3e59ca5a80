"""The demonstration: broker, simulated stations, edge agents and cloud on one machine."""
