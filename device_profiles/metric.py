"""One metric of a device profile: what it measures and where the device holds it."""

import difflib
import math
import re
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from device_profiles.registers import BitField, Order, Table, Type, parse_bits
from telemetry.quantities import QUANTITIES
from telemetry.sparkplug.names import is_reserved
from telemetry.units import UNITS, conversion

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ ./-]*")
ABSOLUTE_ZERO_CEL = -273.15

_FIELD_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+\s*(-\s*\d+\s*)?$"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    ]
}
_BITS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        *_FIELD_SCHEMA["anyOf"],
        {"type": "object", "additionalProperties": _FIELD_SCHEMA},
        {"type": "null"},
    ]
}
Bits = Annotated[
    BitField | dict[str, BitField] | None,
    BeforeValidator(parse_bits),
    WithJsonSchema(_BITS_SCHEMA),
]


class Metric(BaseModel):
    """One quantity of one device (contract C3).

    A Modbus metric has ``table``, ``address`` and ``type``; a metric of a stream has ``field``,
    the name of a value in the decoder's frames. ``value = raw * scale + offset``, in ``unit``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    quantity: str
    unit: str
    table: Table = Table.HOLDING
    address: int | None = Field(default=None, ge=0, le=65535)
    type: Type | None = Field(default=None, validate_default=True)
    byte_order: Order = Order.BIG
    word_order: Order = Order.BIG
    decimals_address: int | None = Field(default=None, ge=0, le=65535)
    """A register whose low byte is the number of decimals of the value; it follows the value."""
    field: str = Field(default="", validate_default=True)
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    bits: Bits = None
    enum: dict[int, str] | None = None
    missing: tuple[float, ...] = ()
    valid: tuple[float, float] | None = None

    @field_validator("name")
    @classmethod
    def _name_is_valid(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("use letters, digits and _ . / - in a metric's name")
        if is_reserved(name):
            raise ValueError("this name is reserved for what describes a gateway or device")
        return name

    @field_validator("quantity")
    @classmethod
    def _quantity_is_known(cls, quantity: str) -> str:
        if quantity not in QUANTITIES:
            raise ValueError("unknown quantity" + did_you_mean(quantity, QUANTITIES))
        return quantity

    @field_validator("unit")
    @classmethod
    def _unit_fits_quantity(cls, unit: str, info: ValidationInfo) -> str:
        if unit not in UNITS:
            raise ValueError("unknown unit (units are UCUM codes)" + did_you_mean(unit, UNITS))
        quantity = info.data.get("quantity")
        if quantity is not None:
            wanted = UNITS[QUANTITIES[quantity].unit]
            if UNITS[unit].dimension != wanted.dimension:
                raise ValueError(
                    f"a {UNITS[unit].dimension} cannot be {quantity}, which is a "
                    f"{wanted.dimension} ({wanted.code})" + _gas_hint(quantity, unit)
                )
        return unit

    @field_validator("type")
    @classmethod
    def _type_fits_table(cls, kind: Type | None, info: ValidationInfo) -> Type | None:
        table = info.data.get("table")
        if table is not None and table.is_bits:
            if kind not in (None, Type.BOOL):
                raise ValueError(f"the table {table} holds single bits: its type is bool")
            return Type.BOOL
        return kind

    @field_validator("field")
    @classmethod
    def _field_is_named(cls, field: str, info: ValidationInfo) -> str:
        return field or str(info.data.get("name", ""))

    @field_validator("scale")
    @classmethod
    def _scale_is_not_zero(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError("a scale of 0 would make every value 0")
        return scale

    @field_validator("bits")
    @classmethod
    def _bits_fit_type(cls, bits: Any, info: ValidationInfo) -> Any:
        kind: Type | None = info.data.get("type")
        if bits is None or kind is None:
            return bits
        if not kind.is_unsigned:
            raise ValueError(f"bits are cut from uint16, uint32 or uint64, not from {kind}")
        highest = 16 * kind.registers - 1
        for part in bits.values() if isinstance(bits, dict) else (bits,):
            if part.high > highest:
                raise ValueError(f"{kind} has bits 0 to {highest}, not {part}")
        return bits

    @field_validator("enum")
    @classmethod
    def _codes_can_occur(
        cls, codes: dict[int, str] | None, info: ValidationInfo
    ) -> dict[int, str] | None:
        low, high = _raw_limits(info.data)
        for code in codes or {}:
            if not low <= code <= high:
                raise ValueError(f"{code} cannot occur; raw values run from {low:g} to {high:g}")
        return codes

    @field_validator("missing", mode="before")
    @classmethod
    def _missing_is_a_list(cls, missing: Any) -> Any:
        return [missing] if isinstance(missing, (int, float)) else missing

    @field_validator("missing")
    @classmethod
    def _missing_can_occur(
        cls, missing: tuple[float, ...], info: ValidationInfo
    ) -> tuple[float, ...]:
        low, high = _raw_limits(info.data)
        for raw in missing:
            if not math.isnan(raw) and not low <= raw <= high:
                raise ValueError(
                    f"{raw:g} cannot occur; raw values run from {low:g} to {high:g} "
                    "(missing values are raw, before scale and offset)"
                )
        return missing

    @field_validator("valid")
    @classmethod
    def _range_is_possible(
        cls, valid: tuple[float, float] | None, info: ValidationInfo
    ) -> tuple[float, float] | None:
        if valid is None:
            return None
        low, high = valid
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("write two finite numbers, [lowest, highest]")
        if low >= high:
            raise ValueError(f"impossible range: {low:g} is not below {high:g}")
        unit = info.data.get("unit")
        if unit is not None and UNITS[unit].dimension == "temperature":
            factor, offset = conversion(unit, "Cel")
            if low * factor + offset < ABSOLUTE_ZERO_CEL - 1e-6:
                raise ValueError(f"impossible range: {low:g} {unit} is below absolute zero")
        _check_reachable(valid, info.data)
        return valid

    @model_validator(mode="after")
    def _check_conversion(self) -> Self:
        # Computed here once, so that a wrong unit is found when the profile is loaded.
        _ = self._canonical
        return self

    @cached_property
    def _canonical(self) -> tuple[float, float]:
        return conversion(self.unit, self.canonical_unit)

    @property
    def canonical_unit(self) -> str:
        """The unit in which values of the quantity are stored and judged."""
        return QUANTITIES[self.quantity].unit

    @property
    def register_count(self) -> int:
        """The number of registers (or bits, in a table of bits) of the value."""
        count = self.type.registers if self.type is not None else 0
        return count + 1 if self.decimals_address is not None else count

    @property
    def bit_field(self) -> BitField | None:
        """The bit field that is the value of the metric, if it has one."""
        return self.bits if isinstance(self.bits, BitField) else None

    def to_canonical(self, value: float) -> float:
        """Convert ``value`` from the unit of the metric to the canonical unit."""
        factor, offset = self._canonical
        return value * factor + offset

    def from_canonical(self, value: float) -> float:
        """Convert ``value`` from the canonical unit to the unit of the metric."""
        factor, offset = self._canonical
        return (value - offset) / factor

    @property
    def valid_canonical(self) -> tuple[float, float] | None:
        """The range of possible values, inclusive, in the canonical unit."""
        if self.valid is None:
            return None
        low, high = (self.to_canonical(v) for v in self.valid)
        return min(low, high), max(low, high)

    def labels(self, value: float) -> list[str]:
        """A status value in words: its name, or the names of the bit fields that are not 0."""
        raw = round((value - self.offset) / self.scale)
        if self.enum is not None:
            return [self.enum[raw]] if raw in self.enum else []
        if isinstance(self.bits, dict):
            return [
                name if part.size == 1 else f"{name}={part.of(raw)}"
                for name, part in self.bits.items()
                if part.of(raw)
            ]
        return []


def did_you_mean(word: str, known: Any) -> str:
    """A hint at the known words most like ``word``."""
    found = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(f) for f in found)}?" if found else ""


def _raw_limits(data: dict[str, Any]) -> tuple[float, float]:
    bits = data.get("bits")
    if isinstance(bits, BitField):
        return 0, bits.mask
    kind: Type | None = data.get("type")
    return kind.limits if kind is not None else (-math.inf, math.inf)


def _check_reachable(valid: tuple[float, float], data: dict[str, Any]) -> None:
    scale, offset = data.get("scale", 1.0), data.get("offset", 0.0)
    if data.get("type") is None or data.get("decimals_address") is not None:
        return
    ends = sorted(raw * scale + offset for raw in _raw_limits(data))
    if valid[1] < ends[0] or valid[0] > ends[1]:
        raise ValueError(
            f"impossible range: with this type, scale and offset values run from {ends[0]:g} "
            f"to {ends[1]:g}"
        )


# ug/m3 of 1 ppb at 25 °C and 101.325 kPa (QCVN 05:2023/BTNMT, clause 1.3.10; R = 8.314462618)
UG_M3_PER_PPB = {
    "so2": 2.6186, "no2": 1.8804, "o3": 1.9619, "co": 1.1449, "nh3": 0.6961, "h2s": 1.3930,
}  # fmt: skip


def _gas_hint(quantity: str, unit: str) -> str:
    factor = UG_M3_PER_PPB.get(quantity)
    if factor is None or UNITS[unit].dimension != "mole fraction":
        return ""
    scale = factor * UNITS[unit].factor / 1e-9
    return f"; write unit: ug/m3 and multiply the scale by {scale:g} (25 °C, 101.325 kPa)"
