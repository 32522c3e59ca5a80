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

    ``aliases`` are the metrics' aliases in the order in which their values will come.
    """

    def __init__(self, aliases: Sequence[int]) -> None:
        self._heads = [number(2, alias) + b"\x18" for alias in aliases]
        self._time = -1
        self._historical = False
        self._prefixes: list[bytes] = []

    def encode(self, time_ms: int, values: bytes, *, historical: bool) -> bytes:
        """``values`` are the little-endian doubles of all metrics, none of them null or flagged."""
        if time_ms != self._time or historical is not self._historical:
            tail = varint(time_ms) + (_HISTORICAL + _DOUBLE if historical else _DOUBLE)
            self._prefixes = [
                b"".join((_METRIC, varint(len(head) + len(tail) + 8), head, tail))
                for head in self._heads
            ]
            self._time, self._historical = time_ms, historical
        parts = []
        at = 0
        for prefix in self._prefixes:
            parts.append(prefix)
            parts.append(values[at : at + 8])
            at += 8
        return b"".join(parts)
