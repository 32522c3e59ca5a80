"""Simulated devices and the pseudo-terminals and sockets that connect them."""
