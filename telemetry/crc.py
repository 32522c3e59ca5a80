"""The CRC-16 that ends a Modbus RTU frame (Modbus over Serial Line V1.02, section 6.2.2)."""


def _table() -> tuple[int, ...]:
    values = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        values.append(crc)
    return tuple(values)


_TABLE = _table()


def crc16(data: bytes | bytearray) -> int:
    """The check value of ``data``; over a whole frame with its CRC the result is 0."""
    crc = 0xFFFF
    table = _TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


def with_crc(data: bytes) -> bytes:
    """``data`` as an RTU frame, its CRC behind it, low byte first."""
    return data + crc16(data).to_bytes(2, "little")
