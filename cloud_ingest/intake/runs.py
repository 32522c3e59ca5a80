"""Data messages in their usual form, read a batch at a time.

Nearly every report is the same few bytes over and over: alias, time, a double (with or without the
mark "historical"), closed by its Store/Batch. Such messages are recognised by their bytes and
joined; numpy then reads the metrics of many messages at once. Whatever looks different in any way
is left to the full decoder (decode.py), which gives the same result, only more slowly.
"""

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from cloud_ingest.intake.message import Message
from cloud_ingest.intake.sessions import DeviceSession, Kind, NodeSession
from telemetry.batches import Bool, Int32, Int64, SampleBatch, UInt8
from telemetry.quality import Flag
from telemetry.topics import Topic

_TIME: Final = rb"[\x80-\xff]{5}[\x00-\x7f]"  # a varint of six bytes: 1971 to 2109 in ms
_SHORT: Final = rb"[\x00-\x7f]"
_LONG: Final = rb"[\x80-\xff][\x01-\x7f]"


def _metric(length: bytes, alias: bytes, historical: bytes) -> bytes:
    # Fields of Metric: 2 alias, 3 timestamp, 5 is_historical, 13 double_value.
    return rb"\x12" + length + rb"\x10" + alias + rb"\x18" + _TIME + historical + rb"\x69.{8}"


# The four forms: bytes of a metric, of its alias, and where its time begins.
_FORMS: Final = (
    (20, 1, _metric(rb"\x12", _SHORT, b"")),
    (21, 2, _metric(rb"\x13", _LONG, b"")),
    (22, 1, _metric(rb"\x14", _SHORT, rb"\x28\x01")),
    (23, 2, _metric(rb"\x15", _LONG, rb"\x28\x01")),
)
# Store/Batch: 2 alias, 3 timestamp, 5 is_historical, 6 is_transient, 11 long_value.
_MARKER: Final = (
    rb"\x12[\x00-\x7f]\x10([\x80-\xff]?[\x00-\x7f])(?:\x18" + _TIME + rb")?(?:\x28\x01)?\x30\x01"
    rb"\x58([\x80-\xff]{0,8}[\x00-\x7f])"
)
_HEAD: Final = rb"\x08" + _TIME
_TAIL: Final = rb"\x18([\x80-\xff]?[\x00-\x7f])"

_USUAL: Final = re.compile(_HEAD + rb"((?:" + _FORMS[0][2] + rb")++)" + _MARKER + _TAIL, re.DOTALL)
_START: Final = re.compile(_HEAD, re.DOTALL)
_END: Final = re.compile(_TAIL, re.DOTALL)
_PART: Final = re.compile(
    b"|".join(rb"((?:" + form + rb")++)" for _, _, form in _FORMS) + rb"|" + _MARKER, re.DOTALL
)
_MARKER_GROUP: Final = len(_FORMS) + 1
LARGEST_ALIAS: Final = 16_383


class Run(NamedTuple):
    """Metrics of one form, as they came."""

    form: int
    data: bytes
    length: int


class Mark(NamedTuple):
    """A Store/Batch: its alias, its number, how many samples it closes, and the first one's time."""

    alias: int
    batch: int
    samples: int
    time_ms: int | None


class Report(NamedTuple):
    """A message in its usual form, split into runs and marks."""

    runs: list[Run]
    marks: list[Mark]
    unmarked: int
    unmarked_time_ms: int | None
    seq: int


def split(data: bytes) -> Report | None:
    """The parts of a data message in its usual form; None for any other."""
    found = _USUAL.fullmatch(data)
    if found:
        run, alias, batch, seq = found.groups()
        length = len(run) // 20
        mark = Mark(_varint(alias), _varint(batch), length, _varint(run[5:11]))
        return Report([Run(0, run, length)], [mark], 0, None, _varint(seq))
    return _split_any(data)


def _split_any(data: bytes) -> Report | None:
    at = _START.match(data)
    if at is None:
        return None
    place, count, time_ms = at.end(), 0, None
    runs: list[Run] = []
    marks: list[Mark] = []
    while part := _PART.match(data, place):
        place = part.end()
        group = part.lastindex or 0
        if group > _MARKER_GROUP:
            alias, batch = part.group(_MARKER_GROUP, _MARKER_GROUP + 1)
            marks.append(Mark(_varint(alias), _varint(batch), count, time_ms))
            count, time_ms = 0, None
        else:
            run = part.group(group)
            length = len(run) // _FORMS[group - 1][0]
            runs.append(Run(group - 1, run, length))
            count += length
            if time_ms is None:
                begin = 4 + _FORMS[group - 1][1]
                time_ms = _varint(run[begin : begin + 6])
    end = _END.fullmatch(data, place)
    return Report(runs, marks, count, time_ms, _varint(end.group(1))) if end else None


def _varint(data: bytes) -> int:
    if len(data) == 1:
        return data[0]
    value = 0
    for byte in reversed(data):
        value = value << 7 | byte & 0x7F
    return value


class AliasTable:
    """Aliases of all devices to series, in one array, so that numpy can look up many at once."""

    def __init__(self) -> None:
        self._series: Int32 = np.full(1024, -1, dtype=np.int32)
        self._used = 0

    def place(self, device: DeviceSession) -> None:
        """Enter a device's aliases after its birth; devices that need conversion stay out."""
        aliases = [a for a, s in device.by_alias.items() if s.kind is Kind.SERIES]
        plain = all(
            (s.factor, s.offset) == (1.0, 0.0)
            for s in device.by_alias.values()
            if s.kind is Kind.SERIES
        )
        if not plain or not aliases or max(aliases) > LARGEST_ALIAS:
            device.plain = False
            return
        first, size = min(aliases), max(aliases) - min(aliases) + 1
        if size > device.table_size:
            device.table_start, device.table_size = self._reserve(size), size
        end = device.table_start + device.table_size
        self._series[device.table_start : end] = -1
        for alias in aliases:
            index = device.by_alias[alias].series
            self._series[device.table_start + alias - first] = index
        device.first_alias = first
        device.plain = True

    def _reserve(self, size: int) -> int:
        start = self._used
        self._used += size
        if self._used > len(self._series):
            larger = np.full(max(self._used, 2 * len(self._series)), -1, dtype=np.int32)
            larger[: len(self._series)] = self._series
            self._series = larger
        return start

    def look_up(self, places: Int64, known: Bool) -> Int32:
        """The series at ``places``; -1 where ``known`` is False or there is none."""
        return np.where(known, self._series[np.where(known, places, 0)], np.int32(-1))


@dataclass(slots=True)
class Waiting:
    """A message in its usual form that waits to be read with others."""

    message: Message
    topic: Topic
    session: NodeSession
    device: DeviceSession
    report: Report


@dataclass(slots=True)
class Gathered:
    """Messages in their usual form, waiting to be read together."""

    waiting: list[Waiting] = field(default_factory=list)
    samples: int = 0

    def add(self, waiting: Waiting) -> None:
        """Let a message wait."""
        self.waiting.append(waiting)
        report = waiting.report
        self.samples += report.unmarked + sum(m.samples for m in report.marks)

    def read(self, table: AliasTable) -> tuple[SampleBatch, list[Waiting], list[Waiting]]:
        """The samples, the messages they are from, and those that need the full decoder."""
        waiting, self.waiting, self.samples = self.waiting, [], 0
        parts, owners = [], []
        for form in range(len(_FORMS)):
            runs = [
                (n, run) for n, w in enumerate(waiting) for run in w.report.runs if run.form == form
            ]
            if runs:
                batch, owner = _read_form(form, runs, waiting, table)
                parts.append(batch)
                owners.append(owner)
        batch = SampleBatch.concat(parts)
        strange = batch.series < 0
        if not strange.any():
            return batch, waiting, []
        owner = np.concatenate(owners)
        bad = np.unique(owner[strange])
        batch = batch.select(~np.isin(owner, bad))
        left = set(bad.tolist())
        good = [w for n, w in enumerate(waiting) if n not in left]
        return batch, good, [waiting[n] for n in sorted(left)]


def _read_form(
    form: int, runs: list[tuple[int, Run]], waiting: list[Waiting], table: AliasTable
) -> tuple[SampleBatch, Int64]:
    stride, alias_bytes, _ = _FORMS[form]
    data = np.frombuffer(b"".join([run.data for _, run in runs]), dtype=np.uint8)
    rows = data.reshape(-1, stride)
    alias = rows[:, 3].astype(np.int64)
    if alias_bytes == 2:
        alias = (alias & 0x7F) | (rows[:, 4].astype(np.int64) << 7)
    counts = np.array([run.length for _, run in runs], dtype=np.int64)
    places = np.array(
        [
            (w.device.table_start, w.device.first_alias, w.device.table_size, n)
            for n, w in ((n, waiting[n]) for n, _ in runs)
        ],
        dtype=np.int64,
    )
    start, first, size, owner = np.repeat(places, counts, axis=0).T
    at = alias - first
    series = table.look_up(start + at, (at >= 0) & (at < size))
    time_ms = _read_times(rows, 4 + alias_bytes)
    value = np.ascontiguousarray(rows[:, -8:]).view("<f8").ravel()
    value, quality = _judge_numbers(value)
    return SampleBatch(series, time_ms, value, quality), owner


def _read_times(rows: UInt8, column: int) -> Int64:
    time_ms = np.zeros(len(rows), dtype=np.int64)
    for i in range(6):
        time_ms |= (rows[:, column + i] & 0x7F).astype(np.int64) << (7 * i)
    return time_ms


def _judge_numbers(value: np.ndarray) -> tuple[np.ndarray, UInt8]:
    """NaN is missing, an infinity NaN that failed; all others are not evaluated yet."""
    quality = np.full(len(value), Flag.NOT_EVALUATED.value, dtype=np.uint8)
    if not np.isfinite(value).all():
        quality[np.isnan(value)] = Flag.MISSING.value
        infinite = np.isinf(value)
        quality[infinite] = Flag.FAIL.value
        value = np.where(infinite, np.nan, value)
    return value, quality
