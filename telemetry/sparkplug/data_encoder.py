"""DATA messages made straight from columns of samples, without an object for each metric.

A gateway that drains a week of backlog encodes millions of metrics; this is the fast way, and it
writes the same bytes as ``encode`` does.
"""

import struct
from collections.abc import Sequence

from telemetry.quality import Flag, to_sparkplug
from telemetry.sparkplug.protobuf import FIXED64, block, key, number
from telemetry.varint import encode_varint, encode_varints

_DOUBLE = key(13, FIXED64)
_HISTORICAL = number(5, 1)
_TRANSIENT = number(6, 1)
_NULL = number(7, 1)
_METRIC = key(2, 2)


def encode_data(time_ms: int, seq: int, metrics: bytes) -> bytes:
    """A DATA payload sent at ``time_ms`` around metrics that are encoded already."""
    return b"".join((number(1, time_ms), metrics, number(3, seq)))


def encode_batch_number(
    batch: int, time_ms: int, *, alias: int | None, name: str = "", historical: bool = False
) -> bytes:
    """The metric that closes a batch; by ``name`` where it has no alias."""
    who = block(1, name.encode()) if alias is None else number(2, alias)
    flags = _HISTORICAL + _TRANSIENT if historical else _TRANSIENT
    return block(2, who + number(3, time_ms) + flags + number(11, batch))


def encode_sample(
    alias: int, time_ms: int, value: float | None, flag: Flag, *, historical: bool
) -> bytes:
    """One sample as a metric of a DATA payload; its quality is told only where it is judged."""
    out = [number(2, alias), number(3, time_ms)]
    if historical:
        out.append(_HISTORICAL)
    if value is None:
        out.append(_NULL)
    if flag is not Flag.NOT_EVALUATED:
        out.append(block(9, _quality(flag)))
    if value is not None:
        out.append(_DOUBLE + struct.pack("<d", value))
    return block(2, b"".join(out))


def _quality(flag: Flag) -> bytes:
    values = [number(1, 3) + number(3, to_sparkplug(flag)), number(1, 3) + number(3, int(flag))]
    return b"".join(
        (block(1, b"Quality"), block(1, b"Quantrac/Flag"), *(block(2, v) for v in values))
    )


class SampleEncoder:
    """Encodes samples of the same metrics, those of a batch all of one moment, over and over.

    ``aliases`` are the metrics' aliases in the order in which their values will come; ``closing``
    is that of the batch number which stands behind them.
    """

    def __init__(self, aliases: Sequence[int], closing: int | None = None) -> None:
        self._aliases = [number(2, alias) + b"\x18" for alias in aliases]
        self._closing = b"" if closing is None else number(2, closing) + b"\x18"
        self._frames: dict[tuple[int, bool], _Frame] = {}

    def encode(self, time_ms: int, values: bytes, *, historical: bool) -> bytes:
        """``values`` are the little-endian doubles of all metrics, none of them null or flagged."""
        moment = encode_varint(time_ms)
        return bytes(self._frame(len(moment), historical).fill([moment], values))

    def encode_batches(
        self, batches: Sequence[int], times_ms: Sequence[int], values: bytes, *, historical: bool
    ) -> bytes:
        """The same for several moments, one after the other, with a batch number behind each.

        ``values`` are those of all metrics of the first moment, then of the second, and so on;
        ``times_ms`` UTC milliseconds. There is at least one moment.
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
    """The bytes of samples, but for their moments and values, which are filled in."""

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
        """The bytes of the samples of these moments; they are good until the next call."""
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
        """One byte of each moment, as often as it has samples."""
        first = column[0]
        if column.count(first) == len(column):  # the higher bytes hardly ever change
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
