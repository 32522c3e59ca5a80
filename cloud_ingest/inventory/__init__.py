"""The inventory: stations, gateways, devices and series, with their state and tags."""
