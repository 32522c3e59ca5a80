"""The protocol-buffer wire format, as far as Sparkplug uses it."""

from collections.abc import Iterator

from telemetry.varint import decode_varint, encode_varint

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = 0, 1, 2, 3, 4, 5
_MAX_FIELD = (1 << 29) - 1


class WireError(ValueError):
    """Bytes that are not a protocol-buffer message."""


def field_tag(field: int, kind: int) -> bytes:
    """The tag before a field: its number and wire type."""
    return encode_varint(field << 3 | kind)


def varint_field(field: int, value: int) -> bytes:
    """A varint field."""
    return field_tag(field, VARINT) + encode_varint(value)


def bytes_field(field: int, data: bytes) -> bytes:
    """A length-delimited field: bytes, text or a message."""
    return field_tag(field, LENGTH) + encode_varint(len(data)) + data


def fields(data: bytes, max_depth: int = 32) -> Iterator[tuple[int, int, int, bytes]]:
    """Each field of a message: field number, wire type, value if VARINT else 0, bytes of others.

    Groups are skipped; Sparkplug has none. Raises WireError or ValueError.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = decode_varint(data, at)
        field, kind = tag >> 3, tag & 7
        if not 0 < field <= _MAX_FIELD:
            raise WireError(f"no field can have the number {field}")
        if kind == VARINT:
            value, at = decode_varint(data, at)
            yield field, kind, value, b""
        elif kind == LENGTH:
            size, at = decode_varint(data, at)
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
        tag, at = decode_varint(data, at)
        field, kind = tag >> 3, tag & 7
        if field == 0:
            raise WireError("no field can have the number 0")
        if kind == END_GROUP:
            if field != group:
                raise WireError("a group ends that did not begin")
            return at
        if kind == VARINT:
            _, at = decode_varint(data, at)
        elif kind == LENGTH:
            size, at = decode_varint(data, at)
            at += size
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == GROUP:
            at = _skip_group(data, at, field, depth - 1)
        else:
            raise WireError(f"wire type {kind} in field {field}")
        if at > len(data):
            raise WireError(f"field {field} is cut off")
