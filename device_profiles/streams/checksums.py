"""Checksums that devices put at the end of their frames."""

import binascii


def xor8(data: bytes) -> int:
    """All bytes combined by exclusive or."""
    result = 0
    for byte in data:
        result ^= byte
    return result


def negated_sum8(data: bytes) -> int:
    """What makes the sum of the bytes 0 (modulo 256)."""
    return -sum(data) & 0xFF


def inverted_sum8(data: bytes) -> int:
    """The sum of the bytes with all its bits turned over (SHDLC)."""
    return ~sum(data) & 0xFF


def _table(polynomial: int) -> tuple[int, ...]:
    """What each byte does to a CRC of 16 bits that takes the lowest bit first."""
    entries = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ polynomial if crc & 1 else crc >> 1  # noqa: PLW2901  # shifted out
        entries.append(crc)
    return tuple(entries)


_UMB = _table(0x8408)
_SDI12 = _table(0xA001)


def crc16_umb(data: bytes) -> int:
    """The CRC of the UMB protocol (polynomial 0x1021 reversed, from 0xFFFF)."""
    return _crc(data, _UMB, 0xFFFF)


def crc16_sdi12(data: bytes) -> int:
    """The CRC of SDI-12 (polynomial 0x8005 reversed, from 0)."""
    return _crc(data, _SDI12, 0)


def crc16_xmodem(data: bytes) -> int:
    """The CRC of Davis stations (polynomial 0x1021, highest bit first, from 0)."""
    return binascii.crc_hqx(data, 0)


def _crc(data: bytes, table: tuple[int, ...], crc: int) -> int:
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc
