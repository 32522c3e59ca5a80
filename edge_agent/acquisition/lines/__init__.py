"""The lines to the devices: serial ports and TCP connections, and the search for a port."""
