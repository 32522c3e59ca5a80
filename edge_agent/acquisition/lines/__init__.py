"""The lines to the devices: serial ports, TCP endpoints, and which port an adapter has today."""
