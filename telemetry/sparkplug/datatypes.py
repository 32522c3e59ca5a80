"""Sparkplug data types and the Python values they stand for."""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any


class DataType(IntEnum):
    """Codes of Sparkplug B 3.0, chapter 6.4.16."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


# Width in bits and whether signed, for the integer types.
INTEGERS: Mapping[int, tuple[int, bool]] = {
    DataType.INT8: (8, True),
    DataType.INT16: (16, True),
    DataType.INT32: (32, True),
    DataType.INT64: (64, True),
    DataType.UINT8: (8, False),
    DataType.UINT16: (16, False),
    DataType.UINT32: (32, False),
    DataType.UINT64: (64, False),
    DataType.DATETIME: (64, False),
}
TEXTS = frozenset({DataType.STRING, DataType.TEXT, DataType.UUID})
BLOBS = frozenset({DataType.BYTES, DataType.FILE})

# Arrays of numbers are packed little-endian, as the text of the specification and other
# implementations say; its examples show big-endian bytes.
_ARRAY_CODES: dict[DataType, str] = {
    DataType.INT8_ARRAY: "b",
    DataType.INT16_ARRAY: "h",
    DataType.INT32_ARRAY: "i",
    DataType.INT64_ARRAY: "q",
    DataType.UINT8_ARRAY: "B",
    DataType.UINT16_ARRAY: "H",
    DataType.UINT32_ARRAY: "I",
    DataType.UINT64_ARRAY: "Q",
    DataType.FLOAT_ARRAY: "f",
    DataType.DOUBLE_ARRAY: "d",
    DataType.DATETIME_ARRAY: "Q",
}
ARRAYS = frozenset(_ARRAY_CODES) | {DataType.BOOLEAN_ARRAY, DataType.STRING_ARRAY}


def to_unsigned(value: int, datatype: DataType) -> int:
    """Two's complement of ``value`` in the width of ``datatype``; ValueError if out of range."""
    bits, signed = INTEGERS[datatype]
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    if not low <= value < high:
        raise ValueError(f"{value} is no {datatype.name}")
    return value & ((1 << bits) - 1)


def as_integer(raw: int, datatype: int) -> int:
    """``raw`` cut to the width of an integer type and read with its sign; unchanged for other types.

    This accepts all encodings of negative numbers, whatever width the sender used.
    """
    if datatype not in INTEGERS:
        return raw
    bits, signed = INTEGERS[datatype]
    raw &= (1 << bits) - 1
    return raw - (1 << bits) if signed and raw >> (bits - 1) else raw


def as_type(value: Any, datatype: DataType) -> Any:
    """The value of a metric for the data type in its birth.

    DATA messages leave the type out, so integers arrive unsigned in 32 or 64 bits (see
    ``as_integer``).
    """
    if value is None:
        return None
    if isinstance(value, int):
        return as_integer(value, datatype)
    if datatype in ARRAYS and isinstance(value, bytes):
        return unpack_array(value, datatype)
    return value


def pack_array(values: Sequence[Any], datatype: DataType) -> bytes:
    """The bytes of an array value."""
    if datatype is DataType.STRING_ARRAY:
        return b"".join(str(v).encode() + b"\0" for v in values)
    if datatype is DataType.BOOLEAN_ARRAY:
        packed = bytearray((len(values) + 7) // 8)
        for i, value in enumerate(values):
            packed[i // 8] |= bool(value) << (7 - i % 8)
        return struct.pack("<I", len(values)) + packed
    return struct.pack(f"<{len(values)}{_ARRAY_CODES[datatype]}", *values)


def unpack_array(data: bytes, datatype: DataType) -> tuple[Any, ...]:
    """The values of an array; ValueError if the bytes do not fit the type."""
    if datatype is DataType.STRING_ARRAY:
        if data and not data.endswith(b"\0"):
            raise ValueError("a string array does not end with NUL")
        return tuple(part.decode() for part in data.split(b"\0")[:-1])
    if datatype is DataType.BOOLEAN_ARRAY:
        if len(data) < 4:
            raise ValueError("a boolean array without its length")
        (count,) = struct.unpack_from("<I", data)
        if (count + 7) // 8 != len(data) - 4:
            raise ValueError(f"a boolean array of {count} in {len(data) - 4} bytes")
        return tuple(bool(data[4 + i // 8] >> (7 - i % 8) & 1) for i in range(count))
    code = _ARRAY_CODES[datatype]
    size = struct.calcsize("<" + code)
    if len(data) % size:
        raise ValueError(f"{len(data)} bytes are no {datatype.name}")
    return struct.unpack(f"<{len(data) // size}{code}", data)
