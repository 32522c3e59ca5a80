"""What a Modbus server says on the wire. Bytes and the time in, bytes out; no I/O."""
