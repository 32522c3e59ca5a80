"""Decodes and encodes the registers of one metric."""

import math
import struct
from collections.abc import Callable, Sequence

from device_profiles.linear import Raw, ToValue, value_converter
from device_profiles.metric import Metric
from device_profiles.registers import BitField, Order, Type

Reader = Callable[[bytes, int], Raw]
"""Reads a raw number from register bytes at a position."""
ValueReader = Callable[[bytes, int], float | None]
"""Reads a value from register bytes at a position; None if the device has no reading."""


class Unencodable(ValueError):  # noqa: N818  # named by what went wrong
    """A value that the registers of the metric cannot hold."""


def decode_metric(metric: Metric, words: Sequence[int]) -> float | None:
    """The value in ``words``, in the unit of the metric; None if the device has no reading.

    ``words`` are the ``metric.register_count`` registers from its address, or one 0 or 1 for a
    coil or discrete input. ValueError if there are too few.
    """
    if len(words) < metric.register_count:
        raise ValueError(f"{metric.name} takes {metric.register_count} registers")
    if metric.table.is_bits:
        return metric_converter(metric)(1 if words[0] else 0)
    data = struct.pack(f">{metric.register_count}H", *words[: metric.register_count])
    return value_reader(metric)(data, 0)


def encode_metric(metric: Metric, value: float | None) -> list[int]:
    """The registers of the device for ``value`` (None: no reading).

    Raises Unencodable if the type cannot hold the value, or has no code for a missing one. For a
    bit field only its own bits are set.
    """
    kind = _type(metric)
    if metric.table.is_bits or kind is Type.BOOL:
        return [1 if value else 0]
    raw = _raw_of(metric, kind, value)
    part = metric.bit_field
    if part is not None:
        raw = int(raw) << part.low
    data = struct.pack(">" + kind.code, raw)
    words = list(struct.unpack(f">{kind.registers}H", data))
    if metric.byte_order is Order.LITTLE:
        words = [(w >> 8) | (w & 0xFF) << 8 for w in words]
    if metric.word_order is Order.LITTLE:
        words.reverse()
    return [*words, _decimals_of(metric)] if metric.decimals_address is not None else words


def value_reader(metric: Metric, *, canonical: bool = False) -> ValueReader:
    """A function that reads the value of the metric from register bytes."""
    read, convert = raw_reader(metric), metric_converter(metric, canonical=canonical)
    if metric.decimals_address is None:
        return lambda data, at: convert(read(data, at))
    decimals_at = 2 * _type(metric).registers + 1

    def with_decimals(data: bytes, at: int) -> float | None:
        value = convert(read(data, at))
        decimals = data[at + decimals_at]
        return None if value is None or decimals > 9 else value / 10**decimals

    return with_decimals


def metric_converter(metric: Metric, *, canonical: bool = False) -> ToValue:
    """A function that converts the raw number of the metric to its value."""
    scale, offset = metric.scale, metric.offset
    if canonical:
        factor, add = metric.to_canonical(1.0) - metric.to_canonical(0.0), metric.to_canonical(0.0)
        scale, offset = scale * factor, offset * factor + add
    kind = _type(metric)
    missing = set(metric.missing)
    if kind is Type.FLOAT32:
        missing |= {struct.unpack(">f", struct.pack(">f", m))[0] for m in missing}
    return value_converter(scale, offset, missing, floats=kind.is_float)


def raw_reader(metric: Metric) -> Reader:
    """A function that reads the raw number of the metric from register bytes."""
    kind, part = _type(metric), metric.bit_field
    read = _number_reader(kind, metric.byte_order, metric.word_order)
    if kind is Type.BOOL:
        return lambda data, at: 1 if read(data, at) else 0
    if part is not None:
        return _field_reader(read, part)
    return read


def _field_reader(read: Reader, part: BitField) -> Reader:
    low, mask = part.low, part.mask
    return lambda data, at: (int(read(data, at)) >> low) & mask


def _number_reader(kind: Type, byte_order: Order, word_order: Order) -> Reader:
    size = 2 * kind.registers
    if byte_order is word_order or (kind.registers == 1 and byte_order is Order.BIG):
        # All bytes in order or all reversed: struct handles both.
        sign = ">" if byte_order is Order.BIG else "<"
        plain = struct.Struct(sign + kind.code).unpack_from
        return lambda data, at: plain(data, at)[0]
    if kind.registers == 1:
        swapped = struct.Struct("<" + kind.code).unpack_from
        return lambda data, at: swapped(data, at)[0]
    number = struct.Struct(">" + kind.code).unpack
    starts = range(0, size, 2)
    order = [
        start + (1 - byte if byte_order is Order.LITTLE else byte)
        for start in (reversed(starts) if word_order is Order.LITTLE else starts)
        for byte in (0, 1)
    ]
    return lambda data, at: number(bytes([data[at + i] for i in order]))[0]


def _raw_of(metric: Metric, kind: Type, value: float | None) -> Raw:
    if value is None:
        if metric.missing:
            raw: Raw = metric.missing[0]
            return raw if kind.is_float else int(raw)
        if kind.is_float:
            return math.nan
        raise Unencodable(f"{metric.name} has no way to say that a reading is missing")
    raw = (value - metric.offset) / metric.scale
    if metric.decimals_address is not None:
        raw *= 10 ** _decimals_of(metric)
    if kind.is_float:
        return raw
    part = metric.bit_field
    low, high = (0, part.mask) if part is not None else kind.limits
    if not low <= round(raw) <= high:
        raise Unencodable(f"{metric.name} cannot be {value:g} {metric.unit}: no room in {kind}")
    return round(raw)


def _decimals_of(metric: Metric) -> int:
    return 2 if metric.decimals_address is not None else 0


def _type(metric: Metric) -> Type:
    if metric.type is None:
        raise ValueError(f"{metric.name} is no Modbus metric")
    return metric.type
