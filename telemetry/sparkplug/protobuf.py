"""Protocol-buffer wire format, as far as Sparkplug needs it."""

from collections.abc import Iterable, Iterator

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = 0, 1, 2, 3, 4, 5
_MASK64 = (1 << 64) - 1
_MAX_FIELD = (1 << 29) - 1


class WireError(ValueError):
    """Bytes that are no protocol-buffer message."""


def varint(value: int) -> bytes:
    """``value`` (0 or more) as a varint."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varints(values: Iterable[int]) -> list[bytes]:
    """Each of ``values`` (0 or more) as a varint; quick where neighbours are close to each other."""
    out: list[bytes] = []
    high, tail = 0, b""
    for value in values:
        if value >> 14 != high:
            high = value >> 14
            tail = varint(high)
        if high:
            out.append(bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80)) + tail)
        else:
            out.append(varint(value))
    return out


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at ``at`` (as 64 bits) and the place behind it."""
    result = shift = 0
    while True:
        if at >= len(data):
            raise WireError("ends inside a number")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & _MASK64, at
        shift += 7
        if shift >= 70:
            raise WireError("a number longer than 64 bits")


def key(field: int, kind: int) -> bytes:
    """The tag in front of a field."""
    return varint(field << 3 | kind)


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return key(field, VARINT) + varint(value)


def block(field: int, data: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return key(field, LENGTH) + varint(len(data)) + data


def fields(data: bytes, max_depth: int = 32) -> Iterator[tuple[int, int, int, bytes]]:
    """Each field of a message: number, wire type, its number (VARINT) or 0, its bytes (others).

    Groups, which Sparkplug has none of, are skipped as unknown fields are.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = read_varint(data, at)
        field, kind = tag >> 3, tag & 7
        if not 0 < field <= _MAX_FIELD:
            raise WireError(f"no field can have the number {field}")
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield field, kind, value, b""
        elif kind == LENGTH:
            size, at = read_varint(data, at)
            if size > end - at:
                raise WireError(f"field {field} is cut off")
            yield field, kind, 0, data[at : at + size]
            at += size
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            if size > end - at:
                raise WireError(f"field {field} is cut off")
            yield field, kind, 0, data[at : at + size]
            at += size
        elif kind == GROUP:
            at = _skip_group(data, at, field, max_depth)
        else:
            raise WireError(f"wire type {kind} in field {field}")


def _skip_group(data: bytes, at: int, group: int, depth: int) -> int:
    if depth <= 0:
        raise WireError("nested too deep")
    while True:
        tag, at = read_varint(data, at)
        field, kind = tag >> 3, tag & 7
        if field == 0:
            raise WireError("no field can have the number 0")
        if kind == END_GROUP:
            if field != group:
                raise WireError("a group ends that did not begin")
            return at
        if kind == VARINT:
            _, at = read_varint(data, at)
        elif kind == LENGTH:
            size, at = read_varint(data, at)
            at += size
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == GROUP:
            at = _skip_group(data, at, field, depth - 1)
        else:
            raise WireError(f"wire type {kind} in field {field}")
        if at > len(data):
            raise WireError(f"field {field} is cut off")
