"""Reports in their usual form, gathered and read a batch at a time.

Their bytes are read by columnar.py; here their aliases become series. Whatever does not fit what
its device announced is left to the full decoder (decode.py), which gives the same result, only
more slowly.
"""

from typing import Final, NamedTuple

import numpy as np

from cloud_ingest.intake import columnar
from cloud_ingest.intake.columnar import Columns
from cloud_ingest.intake.message import Message
from cloud_ingest.intake.sessions import DeviceSession, Kind, NodeSession
from cloud_ingest.intake.work import Receipts, Unnumbered
from telemetry.batches import Bool, Float64, Int32, Int64, SampleBatch, UInt8
from telemetry.quality import Flag
from telemetry.topics import Topic

LARGEST_ALIAS: Final = 16_383
_NO_MARK: Final = -1


class Route(NamedTuple):
    """Where the data messages of one topic go."""

    topic: Topic
    session: NodeSession
    device: DeviceSession
    heard: tuple[str, str | None]


class AliasTable:
    """Aliases of all devices to series, in one array, so that numpy can look up many at once.

    ``number`` of a device is its row in ``_devices``: where its aliases begin in the array of
    series, its lowest alias, how many there are room for, and the alias of its Store/Batch.
    """

    def __init__(self) -> None:
        self._series: Int32 = np.full(1024, -1, dtype=np.int32)
        self._used = 0
        self._devices: Int64 = np.zeros((64, 4), dtype=np.int64)
        self._numbers = 0

    def place(self, device: DeviceSession) -> None:
        """Enter a device's aliases after its birth; devices that need conversion stay out."""
        slots = device.by_alias
        aliases = [a for a, s in slots.items() if s.kind is Kind.SERIES]
        plain = all((slots[a].factor, slots[a].offset) == (1.0, 0.0) for a in aliases)
        marks = [a for a, s in slots.items() if s.kind is Kind.BATCH]
        if not plain or not aliases or max(aliases) > LARGEST_ALIAS or len(marks) > 1:
            device.plain = False
            return
        if device.number < 0:
            device.number = self._number()
        first, size = min(aliases), max(aliases) - min(aliases) + 1
        start, _, room, _ = self._devices[device.number].tolist()
        if size > room:
            start, room = self._reserve(size), size
        self._devices[device.number] = start, first, room, marks[0] if marks else _NO_MARK
        self._series[start : start + room] = -1
        places = np.array(aliases) + (start - first)
        self._series[places] = [slots[a].series for a in aliases]
        device.plain = True

    def _number(self) -> int:
        if self._numbers == len(self._devices):
            self._devices = np.concatenate([self._devices, np.zeros_like(self._devices)])
        self._numbers += 1
        return self._numbers - 1

    def _reserve(self, size: int) -> int:
        start = self._used
        self._used += size
        if self._used > len(self._series):
            larger = np.full(max(self._used, 2 * len(self._series)), -1, dtype=np.int32)
            larger[: len(self._series)] = self._series
            self._series = larger
        return start

    def look_up(self, device: Int64, owner: Int64, alias: Int64) -> Int32:
        """The series of each alias; -1 where there is none. ``device`` has a number per owner."""
        start, first, size, _ = self._devices[device].T
        at = alias - first[owner]
        known = (at >= 0) & (at < size[owner])
        at += start[owner]
        found: Int32 = self._series[np.where(known, at, 0)]
        found[~known] = -1
        return found

    def marks_of(self, device: Int64) -> Int64:
        """The alias of the Store/Batch of each device."""
        marks: Int64 = self._devices[device, 3]
        return marks


class Read(NamedTuple):
    """Samples, what becomes of the ledger, which messages that was, and those left to be read."""

    batch: SampleBatch
    receipts: Receipts | None
    unnumbered: list[Unnumbered]
    routes: list[tuple[Message, Route]]
    strange: list[tuple[Message, Route]]


class Gathered:
    """Messages that wait to be read together."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Message, Route]] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def samples(self) -> int:
        """About how many samples wait: none takes fewer than 20 bytes."""
        return self._bytes // 20

    def add(self, message: Message, route: Route) -> None:
        """Let a message wait."""
        self._waiting.append((message, route))
        self._bytes += len(message.payload)

    def read(self, table: AliasTable) -> Read:
        """Read what waits; nothing waits afterwards."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        columns = columnar.read([message.payload for message, _ in waiting])
        n = len(waiting)
        device = np.fromiter((r.device.number for _, r in waiting), np.int64, n)
        numbered = np.fromiter((r.session.acknowledges for _, r in waiting), np.bool_, n)
        series = table.look_up(device, columns.owner, columns.alias)
        good = columns.read & ~(numbered & (columns.unmarked > 0))
        good[columns.owner[series < 0]] = False
        marks = table.marks_of(device)[columns.mark_owner]
        good[columns.mark_owner[columns.mark_alias != marks]] = False
        batch = SampleBatch(series, columns.time_ms, *_judge_numbers(columns.value))
        if good.all():
            receipts, rest = _receipts(columns, waiting), _unnumbered(columns, waiting)
            return Read(batch, receipts, rest, waiting, [])
        columns = _only(columns, good)
        batch = batch.select(good[columns.owner])
        return Read(
            batch,
            _receipts(columns, waiting),
            _unnumbered(columns, waiting),
            [w for w, g in zip(waiting, good.tolist(), strict=True) if g],
            [w for w, g in zip(waiting, good.tolist(), strict=True) if not g],
        )


def _only(columns: Columns, good: Bool) -> Columns:
    """The marks of the messages that are good; their samples are left in ``columns``."""
    keep = good[columns.mark_owner]
    return Columns(
        columns.owner, columns.alias, columns.time_ms, columns.value,
        columns.mark_owner[keep], columns.mark_alias[keep], columns.mark_batch[keep],
        columns.mark_samples[keep], columns.mark_time_ms[keep],
        np.where(good, columns.unmarked, 0), columns.unmarked_time_ms, good,
    )  # fmt: skip


def _receipts(columns: Columns, waiting: list[tuple[Message, Route]]) -> Receipts | None:
    if not len(columns.mark_owner):
        return None
    arrived = np.fromiter((m.time_ms for m, _ in waiting), np.int64, len(waiting))
    numbers: dict[str, int] = {}
    of_message = [numbers.setdefault(r.session.gateway, len(numbers)) for _, r in waiting]
    return Receipts(
        list(numbers),
        np.array(of_message)[columns.mark_owner],
        columns.mark_batch,
        columns.mark_samples,
        columns.mark_time_ms,
        arrived[columns.mark_owner],
    )


def _unnumbered(columns: Columns, waiting: list[tuple[Message, Route]]) -> list[Unnumbered]:
    found = []
    for n in np.flatnonzero(columns.unmarked).tolist():
        message, route = waiting[n]
        samples, time_ms = int(columns.unmarked[n]), int(columns.unmarked_time_ms[n])
        found.append(Unnumbered(route.session.gateway, samples, time_ms, message.time_ms))
    return found


def _judge_numbers(value: Float64) -> tuple[Float64, UInt8]:
    """NaN is missing, an infinity NaN that failed; all others are not evaluated yet."""
    quality = np.full(len(value), Flag.NOT_EVALUATED.value, dtype=np.uint8)
    if not np.isfinite(value).all():
        quality[np.isnan(value)] = Flag.MISSING.value
        infinite = np.isinf(value)
        quality[infinite] = Flag.FAIL.value
        value = np.where(infinite, np.nan, value)
    return value, quality
