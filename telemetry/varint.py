"""Variable-length integers of protocol buffers: seven bits in each byte, the lowest first.

MQTT writes the length of its packets in the same way.
"""

from collections.abc import Iterable

_MASK64 = (1 << 64) - 1
_ONE_BYTE = [bytes((value,)) for value in range(0x80)]


def encode_varint(value: int) -> bytes:
    """``value`` (0 or more) as a varint."""
    if value < 0x80:
        return _ONE_BYTE[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_varints(values: Iterable[int]) -> list[bytes]:
    """Each of ``values`` (0 or more) as a varint; fast if neighbours are close to each other."""
    out: list[bytes] = []
    high, tail = 0, b""
    for value in values:
        if value >> 14 != high:
            high = value >> 14
            tail = encode_varint(high)
        if high:
            out.append(bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80)) + tail)
        else:
            out.append(encode_varint(value))
    return out


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at position ``at``, cut to 64 bits, and the position after it.

    Raises ValueError if the data end inside it or if it has more than ten bytes.
    """
    result = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("ends inside a number")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & _MASK64, at
        shift += 7
        if shift >= 70:
            raise ValueError("a number longer than 64 bits")
