"""Register tables, types, byte and word orders, and bit fields."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Table(StrEnum):
    """The four tables of a Modbus device."""

    HOLDING = "holding"
    INPUT = "input"
    COIL = "coil"
    DISCRETE = "discrete"

    @property
    def is_bits(self) -> bool:
        """True if the table holds single bits instead of 16-bit registers."""
        return self in (Table.COIL, Table.DISCRETE)


class Type(StrEnum):
    """The data type of a value."""

    BOOL = "bool"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def registers(self) -> int:
        """The number of 16-bit registers of a value."""
        return _REGISTERS[self]

    @property
    def code(self) -> str:
        """The letter of the type in Python's struct module."""
        return _CODES[self]

    @property
    def is_float(self) -> bool:
        """True for floating point types."""
        return self in (Type.FLOAT32, Type.FLOAT64)

    @property
    def is_unsigned(self) -> bool:
        """True for unsigned integer types."""
        return self in (Type.UINT16, Type.UINT32, Type.UINT64)

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest raw value."""
        if self is Type.BOOL:
            return 0, 1
        if self.is_float:
            highest = 3.4028234663852886e38 if self is Type.FLOAT32 else 1.7976931348623157e308
            return -highest, highest
        size = 16 * self.registers
        return (0, 2**size - 1) if self.is_unsigned else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)


_REGISTERS = {
    Type.BOOL: 1, Type.INT16: 1, Type.UINT16: 1, Type.INT32: 2, Type.UINT32: 2,
    Type.INT64: 4, Type.UINT64: 4, Type.FLOAT32: 2, Type.FLOAT64: 4,
}  # fmt: skip
_CODES = {
    Type.BOOL: "H", Type.INT16: "h", Type.UINT16: "H", Type.INT32: "i", Type.UINT32: "I",
    Type.INT64: "q", Type.UINT64: "Q", Type.FLOAT32: "f", Type.FLOAT64: "d",
}  # fmt: skip


class Order(StrEnum):
    """The order of the two bytes of a register, or of the registers of a value."""

    BIG = "big"
    LITTLE = "little"


@dataclass(frozen=True, slots=True)
class BitField:
    """Bits ``low`` to ``high`` (inclusive, 0 is the lowest) of a status word."""

    low: int
    high: int

    @property
    def size(self) -> int:
        """The number of bits."""
        return self.high - self.low + 1

    @property
    def mask(self) -> int:
        """A mask for the field after it is shifted to bit 0."""
        return (1 << self.size) - 1

    def of(self, word: int) -> int:
        """The value of the field in ``word``."""
        return (word >> self.low) & self.mask

    def overlaps(self, other: "BitField") -> bool:
        """True if the two fields share a bit."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return str(self.low) if self.size == 1 else f"{self.low}-{self.high}"


_BIT_RANGE = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?")


def parse_bit_field(value: Any) -> BitField:
    """Read ``3``, ``"2-4"`` or ``[2, 4]`` (both mean bits 2, 3 and 4)."""
    match value:
        case BitField():
            return value
        case bool():
            raise ValueError(_HOW)
        case int():
            field = BitField(value, value)
        case [int(), int()]:
            field = BitField(value[0], value[1])
        case str() if found := _BIT_RANGE.fullmatch(value):
            low = int(found.group(1))
            field = BitField(low, int(found.group(2) or low))
        case _:
            raise ValueError(_HOW)
    if field.low < 0 or field.low > field.high:
        raise ValueError(f"{_HOW}; the lower bit comes first")
    return field


def parse_bits(value: Any) -> Any:
    """Read one bit field, or a map of names to bit fields that do not overlap."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return parse_bit_field(value)
    fields = {str(name): parse_bit_field(part) for name, part in value.items()}
    names = list(fields)
    for i, one in enumerate(names):
        for other in names[:i]:
            if fields[one].overlaps(fields[other]):
                raise ValueError(
                    f"bit fields {other!r} ({fields[other]}) and {one!r} ({fields[one]}) overlap"
                )
    return fields


_HOW = "write a bit as 3, bits 2 to 4 as [2, 4], or names of them as {fault: 0, mode: [1, 3]}"
