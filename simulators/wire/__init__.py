"""A Modbus server codec: bytes and time in, bytes out. No I/O."""
