"""Checksums of stream protocols."""

import binascii

from telemetry.crc import CRC_8005, crc_table, table_crc


def xor8(data: bytes) -> int:
    """The exclusive or of all bytes."""
    result = 0
    for byte in data:
        result ^= byte
    return result


def negated_sum8(data: bytes) -> int:
    """The byte that makes the sum of all bytes 0 (modulo 256)."""
    return -sum(data) & 0xFF


def inverted_sum8(data: bytes) -> int:
    """The inverted sum of all bytes (SHDLC)."""
    return ~sum(data) & 0xFF


_UMB = crc_table(0x8408)


def crc16_umb(data: bytes) -> int:
    """The CRC of the UMB protocol (polynomial 0x1021 reversed, start value 0xFFFF)."""
    return table_crc(data, _UMB, 0xFFFF)


def crc16_sdi12(data: bytes) -> int:
    """The CRC of SDI-12 (polynomial 0x8005 reversed, start value 0)."""
    return table_crc(data, CRC_8005, 0)


def crc16_xmodem(data: bytes) -> int:
    """The CRC of Davis stations (polynomial 0x1021, highest bit first, start value 0)."""
    return binascii.crc_hqx(data, 0)
