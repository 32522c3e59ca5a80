"""Decodes all metrics of one reply; the decoder is built once for each planned read."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from device_profiles.linear import ToValue
from device_profiles.metric import Metric
from device_profiles.modbus.codec import ValueReader, metric_converter, value_reader
from device_profiles.registers import Order, Type


@dataclass(frozen=True, slots=True)
class BlockDecoder:
    """Converts the data of one reply to values; made by ``block_decoder``."""

    size: int
    _together: struct.Struct
    _converters: tuple[tuple[int, ToValue], ...]
    _single: tuple[tuple[int, int, ValueReader], ...]
    _bits: tuple[tuple[int, int, ToValue], ...]
    _count: int

    def decode(self, data: bytes) -> list[float | None]:
        """One value for each metric, None if missing; ValueError if the data is too short."""
        if len(data) < self.size:
            raise ValueError(f"the reply has {len(data)} bytes of data; {self.size} are needed")
        values: list[float | None] = [None] * self._count
        for (index, convert), raw in zip(
            self._converters, self._together.unpack_from(data), strict=True
        ):
            values[index] = convert(raw)
        for index, at, read in self._single:
            values[index] = read(data, at)
        for index, bit, convert in self._bits:
            values[index] = convert((data[bit >> 3] >> (bit & 7)) & 1)
        return values


def block_decoder(
    metrics: Sequence[Metric], address: int, count: int, *, canonical: bool = True
) -> BlockDecoder:
    """A decoder for the reply to a read of ``count`` registers (or bits) from ``address``.

    All metrics are in one table and inside the read. Values are in canonical units, or in the
    unit of each metric with ``canonical=False``.
    """
    together: list[tuple[int, int, Metric]] = []
    single: list[tuple[int, int, ValueReader]] = []
    bits: list[tuple[int, int, ToValue]] = []
    free = 0
    for index, metric in sorted(enumerate(metrics), key=lambda pair: pair[1].address or 0):
        start = _start(metric, address, count)
        if metric.table.is_bits:
            bits.append((index, start, metric_converter(metric, canonical=canonical)))
        elif _is_plain(metric) and 2 * start >= free:
            together.append((index, 2 * start, metric))
            free = 2 * (start + metric.register_count)
        else:
            single.append((index, 2 * start, value_reader(metric, canonical=canonical)))
    is_bits = bool(bits)
    return BlockDecoder(
        size=(count + 7) // 8 if is_bits else 2 * count,
        _together=_layout(together),
        _converters=tuple((p, metric_converter(m, canonical=canonical)) for p, _, m in together),
        _single=tuple(single),
        _bits=tuple(bits),
        _count=len(metrics),
    )


def _start(metric: Metric, address: int, count: int) -> int:
    if metric.address is None:
        raise ValueError(f"{metric.name} is no Modbus metric")
    start = metric.address - address
    if start < 0 or start + metric.register_count > count:
        raise ValueError(f"{metric.name} does not lie inside the read of {count} from {address}")
    return start


def _is_plain(metric: Metric) -> bool:
    return (
        metric.byte_order is Order.BIG
        and (metric.word_order is Order.BIG or metric.register_count == 1)
        and metric.bit_field is None
        and metric.decimals_address is None
        and metric.type is not Type.BOOL
    )


def _layout(together: list[tuple[int, int, Metric]]) -> struct.Struct:
    form, at = ">", 0
    for _, start, metric in together:
        assert metric.type is not None
        form += "x" * (start - at) + metric.type.code
        at = start + 2 * metric.register_count
    return struct.Struct(form)
