"""DATA messages encoded from columns of samples, without an object for each metric.

A gateway that drains a week of backlog encodes millions of metrics. The bytes are the same as
those of ``encode``.
"""

import struct
from collections.abc import Sequence

from telemetry.quality import Flag, to_sparkplug
from telemetry.sparkplug.protobuf import FIXED64, bytes_field, field_tag, varint_field
from telemetry.varint import encode_varint, encode_varints

_DOUBLE = field_tag(13, FIXED64)
_HISTORICAL = varint_field(5, 1)
_TRANSIENT = varint_field(6, 1)
_NULL = varint_field(7, 1)
_METRIC = field_tag(2, 2)


def encode_data(time_ms: int, seq: int, metrics: bytes) -> bytes:
    """A DATA payload sent at ``time_ms``; ``metrics`` are encoded already."""
    return b"".join((varint_field(1, time_ms), metrics, varint_field(3, seq)))


def encode_batch_number(
    batch: int, time_ms: int, *, alias: int | None, name: str = "", historical: bool = False
) -> bytes:
    """The metric that ends a batch: its number; with ``name`` if it has no alias."""
    identity = bytes_field(1, name.encode()) if alias is None else varint_field(2, alias)
    flags = _HISTORICAL + _TRANSIENT if historical else _TRANSIENT
    return bytes_field(2, identity + varint_field(3, time_ms) + flags + varint_field(11, batch))


def encode_sample(
    alias: int, time_ms: int, value: float | None, flag: Flag, *, historical: bool
) -> bytes:
    """One sample as a metric of a DATA payload; quality is included only if it was evaluated."""
    out = [varint_field(2, alias), varint_field(3, time_ms)]
    if historical:
        out.append(_HISTORICAL)
    if value is None:
        out.append(_NULL)
    if flag is not Flag.NOT_EVALUATED:
        out.append(bytes_field(9, _quality(flag)))
    if value is not None:
        out.append(_DOUBLE + struct.pack("<d", value))
    return bytes_field(2, b"".join(out))


def _quality(flag: Flag) -> bytes:
    values = [
        varint_field(1, 3) + varint_field(3, to_sparkplug(flag)),
        varint_field(1, 3) + varint_field(3, int(flag)),
    ]
    return b"".join(
        (
            bytes_field(1, b"Quality"),
            bytes_field(1, b"Quantrac/Flag"),
            *(bytes_field(2, v) for v in values),
        )
    )


class SampleEncoder:
    """Encodes many batches of the same metrics; the samples of a batch have the same time.

    ``aliases`` are the aliases of the metrics in the order of their values; ``closing`` is the
    alias of the report number that follows them.
    """

    def __init__(self, aliases: Sequence[int], closing: int | None = None) -> None:
        self._aliases = [varint_field(2, alias) + b"\x18" for alias in aliases]
        self._closing = b"" if closing is None else varint_field(2, closing) + b"\x18"
        self._frames: dict[tuple[int, bool], _Frame] = {}

    def encode(self, time_ms: int, values: bytes, *, historical: bool) -> bytes:
        """Metrics of one time. ``values`` are little-endian doubles, none of them null or flagged."""
        moment = encode_varint(time_ms)
        return bytes(self._frame(len(moment), historical).fill([moment], values))

    def encode_batches(
        self, batches: Sequence[int], times_ms: Sequence[int], values: bytes, *, historical: bool
    ) -> bytes:
        """The same for several batches in sequence, each followed by its report number.

        ``values`` are those of all metrics of the first batch, then of the second, and so on;
        ``times_ms`` are UTC milliseconds, at least one.
        """
        moments = encode_varints(times_ms)
        lengths = {len(m) for m in moments}
        if len(lengths) > 1:
            size = 8 * len(self._aliases)
            return b"".join(
                self.encode_batches(
                    [batch], [time_ms], values[i * size : (i + 1) * size], historical=historical
                )
                for i, (batch, time_ms) in enumerate(zip(batches, times_ms, strict=True))
            )
        samples = self._frame(lengths.pop(), historical).fill(moments, values)
        size = len(samples) // len(moments)
        flags = (_HISTORICAL + _TRANSIENT if historical else _TRANSIENT) + b"\x58"
        parts: list[bytes | memoryview] = []
        at = 0
        for moment, batch_number in zip(moments, encode_varints(batches), strict=True):
            rest = self._closing + moment + flags + batch_number
            parts += (samples[at : at + size], _METRIC, encode_varint(len(rest)), rest)
            at += size
        return b"".join(parts)

    def _frame(self, moment: int, historical: bool) -> "_Frame":
        frame = self._frames.get((moment, historical))
        if frame is None:
            tail = _HISTORICAL + _DOUBLE if historical else _DOUBLE
            frame = self._frames[moment, historical] = _Frame(self._aliases, moment, tail)
        return frame


class _Frame:
    """A template of encoded samples in which times and values are filled in."""

    def __init__(self, aliases: Sequence[bytes], moment: int, tail: bytes) -> None:
        heads = [
            _METRIC + encode_varint(len(alias) + moment + len(tail) + 8) + alias
            for alias in aliases
        ]
        self._heads = heads
        self._tail = tail
        self._n = len(heads)
        head = len(heads[0])
        self._at = head
        self._values_at = head + moment + len(tail)
        self._step = self._values_at + 8 if all(len(h) == head for h in heads) else 0
        self._empty = b"".join(h + bytes(moment) + tail + bytes(8) for h in heads)
        self._bytes = bytearray()

    def fill(self, moments: Sequence[bytes], values: bytes) -> memoryview:
        """The encoded samples; the view is valid until the next call."""
        if not self._step:
            return self._one_by_one(moments, values)
        step, end = self._step, len(moments) * len(self._empty)
        if len(self._bytes) < end:
            self._bytes = bytearray(self._empty * len(moments))
        frame = self._bytes
        for at, column in enumerate(zip(*moments, strict=True), self._at):
            frame[at:end:step] = self._for_each_sample(column)
        at = self._values_at
        for i in range(8):
            frame[at + i : end : step] = values[i::8]
        return memoryview(frame)[:end]

    def _for_each_sample(self, column: tuple[int, ...]) -> bytes:
        """One byte of each time, repeated for each sample of its batch."""
        first = column[0]
        if column.count(first) == len(column):  # the higher bytes rarely change
            return bytes((first,)) * (self._n * len(column))
        return b"".join([bytes((byte,)) * self._n for byte in column])

    def _one_by_one(self, moments: Sequence[bytes], values: bytes) -> memoryview:
        parts: list[bytes] = []
        at = 0
        for moment in moments:
            middle = moment + self._tail
            for head in self._heads:
                parts += (head, middle, values[at : at + 8])
                at += 8
        return memoryview(b"".join(parts))
