"""DATA messages made straight from columns of samples, without an object for each metric.

A gateway that drains a week of backlog encodes millions of metrics; this is the fast way, and it
writes the same bytes as ``encode`` does.
"""

import struct
from collections.abc import Sequence

from telemetry.quality import Flag, to_sparkplug
from telemetry.sparkplug.wire import FIXED64, block, key, number, varint

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
    """Encodes samples of the same metrics, all of one moment, over and over.

    ``aliases`` are the metrics' aliases in the order in which their values will come; ``closing``
    is that of the batch number which stands behind them.
    """

    def __init__(self, aliases: Sequence[int], closing: int | None = None) -> None:
        self._aliases = [number(2, alias) + b"\x18" for alias in aliases]
        self._closing = b"" if closing is None else number(2, closing) + b"\x18"
        self._frames: dict[tuple[int, bool], _Frame] = {}

    def encode(self, time_ms: int, values: bytes, *, historical: bool) -> bytes:
        """``values`` are the little-endian doubles of all metrics, none of them null or flagged."""
        moment = varint(time_ms)
        return bytes(self._frame(moment, historical).fill(moment, values))

    def encode_batch(self, batch: int, time_ms: int, values: bytes, *, historical: bool) -> bytes:
        """The same with the batch number behind it."""
        moment = varint(time_ms)
        flags = _HISTORICAL + _TRANSIENT if historical else _TRANSIENT
        rest = b"".join((self._closing, moment, flags, b"\x58", varint(batch)))
        samples = self._frame(moment, historical).fill(moment, values)
        return b"".join((samples, _METRIC, varint(len(rest)), rest))

    def _frame(self, moment: bytes, historical: bool) -> "_Frame":
        frame = self._frames.get((len(moment), historical))
        if frame is None:
            tail = _HISTORICAL + _DOUBLE if historical else _DOUBLE
            frame = _Frame(self._aliases, len(moment), tail)
            self._frames[len(moment), historical] = frame
        return frame


class _Frame:
    """The bytes of samples, but for their moment and values, which are filled in."""

    def __init__(self, aliases: Sequence[bytes], moment: int, tail: bytes) -> None:
        heads = [_METRIC + varint(len(alias) + moment + len(tail) + 8) + alias for alias in aliases]
        self._heads = heads
        self._tail = tail
        self._n = len(heads)
        head = len(heads[0])
        self._at = head
        self._values_at = head + moment + len(tail)
        self._step = self._values_at + 8 if all(len(h) == head for h in heads) else 0
        self._bytes = bytearray(b"".join(h + bytes(moment) + tail + bytes(8) for h in heads))
        self._moment = bytes(moment)

    def fill(self, moment: bytes, values: bytes) -> bytes | bytearray:
        """The bytes with these; they are good until the next call."""
        frame, step = self._bytes, self._step
        if not step:
            middle = moment + self._tail
            parts: list[bytes] = []
            for i, head in enumerate(self._heads):
                parts += (head, middle, values[8 * i : 8 * i + 8])
            return b"".join(parts)
        if moment != self._moment:
            for i, byte in enumerate(moment, self._at):
                frame[i::step] = bytes((byte,)) * self._n
            self._moment = moment
        at = self._values_at
        for i in range(8):
            frame[at + i :: step] = values[i::8]
        return frame
