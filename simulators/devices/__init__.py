"""Simulated devices, and the real pseudo-terminals and sockets behind which they sit."""
