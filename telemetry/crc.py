"""16-bit cyclic redundancy checks that take the lowest bit first, and the one of Modbus RTU."""


def crc_table(polynomial: int) -> tuple[int, ...]:
    """What each byte does to a CRC; ``polynomial`` has its bits reversed."""
    entries = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ polynomial if crc & 1 else crc >> 1
        entries.append(crc)
    return tuple(entries)


CRC_8005 = crc_table(0xA001)
"""The table of polynomial 0x8005: Modbus, SDI-12."""


def table_crc(data: bytes | bytearray | memoryview, table: tuple[int, ...], crc: int) -> int:
    """The CRC of ``data`` with a table of ``crc_table``, from the start value ``crc``."""
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def crc16(data: bytes | bytearray | memoryview) -> int:
    """CRC-16/MODBUS (Modbus over Serial Line V1.02, 6.2.2); 0 over a frame that ends with its CRC."""
    return table_crc(data, CRC_8005, 0xFFFF)


def with_crc(data: bytes) -> bytes:
    """``data`` as a Modbus RTU frame: its CRC follows, low byte first."""
    return data + crc16(data).to_bytes(2, "little")


def has_valid_crc(frame: bytes | bytearray | memoryview) -> bool:
    """True if a frame of at least four bytes ends with its CRC."""
    return len(frame) >= 4 and crc16(frame) == 0
