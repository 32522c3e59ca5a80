"""The demonstration: broker, simulated stations, edge agents and cloud as processes of one machine."""
