"""Summaries in InfluxDB, made by Quantrac: 1.x, 2.x and 3.x have no common way to make them.

A day of a gateway is *closed* once it is over: its summaries by minute, hour and day are written to
one database each. Before samples of a closed day are written, it is opened again. Open and closed
days are stored in the database of daily summaries, so that they are known after a restart.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from cloud_ingest.stores import summaries
from cloud_ingest.stores.influxdb import line_protocol, queries
from cloud_ingest.stores.influxdb.client import InfluxClient
from cloud_ingest.stores.influxdb.setup import SUFFIX
from cloud_ingest.stores.protocol import SUMMARY_STEP_MS, Envelope
from cloud_ingest.stores.summaries import Summaries
from telemetry.batches import Int64, SampleBatch
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

DAY_MS = 86_400_000
CLOSE_AFTER_MS = 3_600_000
RECLOSE_PAUSE_MS = 3_600_000
MARKS = "quantrac_closed"
_LINES = 5_000
GatewayDay = tuple[str, int]


class Rollup:
    """Tracks which days of which gateways are closed, and closes those that are due."""

    def __init__(self, client: InfluxClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._lock = threading.Lock()
        self._open: dict[GatewayDay, int] = {}  # number of writes
        self._closed: dict[str, set[int]] = {}
        self._closed_at_ms: dict[GatewayDay, int] = {}
        self._gateways: list[str] = []
        self._number: dict[str, int] = {}
        self._gateway_of = np.zeros(0, np.int64)
        self._loaded = False

    def register(self, series: Sequence[Series]) -> None:
        """Remember the gateway of each series."""
        with self._lock:
            size = max((s.index for s in series), default=-1) + 1
            more = np.zeros(max(size - len(self._gateway_of), 0), np.int64)
            gateway_of = np.concatenate([self._gateway_of, more])
            for s in series:
                name = s.key.gateway
                number = self._number.setdefault(name, len(self._gateways))
                if number == len(self._gateways):
                    self._gateways.append(name)
                gateway_of[s.index] = number
            self._gateway_of = gateway_of

    def days_of(self, batch: SampleBatch) -> list[GatewayDay]:
        """The (gateway, day) pairs of the samples in ``batch``."""
        shift = 1 << 24
        days = batch.time_ms // DAY_MS + shift // 2
        pairs = np.unique(self._gateway_of[batch.series] * shift + days)
        return [(self._gateways[p // shift], p % shift - shift // 2) for p in pairs.tolist()]

    def touch(self, days: Iterable[GatewayDay]) -> None:
        """Mark days open whose samples are about to be written, or just were.

        Returns once the database has stored the marks.
        """
        with self._lock:
            self._load()
            new = [d for d in days if d not in self._open]
            if new:
                self._mark(new, 0)
            for gateway, day in new:
                self._closed.get(gateway, set()).discard(day)
            for pair in days:
                self._open[pair] = self._open.get(pair, 0) + 1

    def closed_days(self, gateway: str) -> set[int]:
        """The days of a gateway whose summaries include all of its samples."""
        with self._lock:
            self._load()
            return set(self._closed.get(gateway, ()))

    def _load(self) -> None:
        if self._loaded:
            return
        statement = (
            f'SELECT "closed" FROM {line_protocol.quoted_identifier(MARKS)} GROUP BY "gateway"'  # noqa: S608  # a constant
        )
        [result] = self._client.query(self._days, statement)
        for part in result:
            gateway = line_protocol.decode_name(part["tags"]["gateway"])
            for time_ms, closed in part["values"]:
                day = time_ms // DAY_MS
                if closed:
                    self._closed.setdefault(gateway, set()).add(day)
                else:
                    self._open.setdefault((gateway, day), 0)
        self._loaded = True

    @property
    def _days(self) -> str:
        return self._bucket + SUFFIX["day"]

    def _mark(self, days: Sequence[GatewayDay], closed: int) -> None:
        text = [
            f"{MARKS},gateway={line_protocol.escaped_tag(g)} closed={closed}i {day * DAY_MS}"
            for g, day in days
        ]
        for start in range(0, len(text), _LINES):
            self._client.write(self._days, "\n".join(text[start : start + _LINES]).encode())

    def maintain(self, now_ms: int) -> None:
        """Close the days that are over and were written to since they were last closed."""
        with self._lock:
            self._load()
            due = sorted(
                (day, gateway)
                for gateway, day in self._open
                if (day + 1) * DAY_MS + CLOSE_AFTER_MS <= now_ms
                and now_ms - self._closed_at_ms.get((gateway, day), -(1 << 62)) >= RECLOSE_PAUSE_MS
            )
        for day, gateway in due:
            self._close((gateway, day))
            self._closed_at_ms[gateway, day] = now_ms

    def _close(self, pair: GatewayDay) -> None:
        with self._lock:
            writes = self._open.get(pair, 0)
        for tags, envelope in self._summaries(*pair):
            self._write(tags, envelope)
        with self._lock:
            if self._open.get(pair) != writes:
                return  # more samples came in the meantime
            self._mark([pair], 1)
            del self._open[pair]
            self._closed.setdefault(pair[0], set()).add(pair[1])

    def _summaries(self, gateway: str, day: int) -> Iterator[tuple[str, Summaries]]:
        """For each series of a gateway: the beginning of its lines, and the minutes of a day."""
        start_ms = day * DAY_MS
        width = SUMMARY_STEP_MS["minute"]
        selected = queries.of_gateway(gateway, start_ms, start_ms + DAY_MS)
        good, everything = self._client.query(self._bucket, queries.steps_of(selected, width))
        by_name = {_name(part): part for part in good}
        for part in everything:
            quantity = line_protocol.decode_name(part["name"])
            head = line_protocol.head(part["name"], part["tags"])
            if quantity in QUANTITIES and QUANTITIES[quantity].circular:
                yield head, self._directions(part, start_ms)
                continue
            mine = by_name.get(_name(part))
            yield head, as_summaries(queries.to_envelope([mine] if mine else [], [part]))

    def _directions(self, part: dict[str, Any], start_ms: int) -> Summaries:
        """The minutes of angles, which no server averages correctly."""
        tags = part["tags"]
        where = " AND ".join(
            f"{line_protocol.quoted_identifier(t)} = {line_protocol.quoted_text(tags[t])}"
            for t in line_protocol.TAGS
        )
        span = queries.where_time(start_ms, start_ms + DAY_MS)
        source = line_protocol.quoted_identifier(part["name"])
        statement = f'SELECT "value", "quality" FROM {source} WHERE {where} AND {span}'  # noqa: S608  # quoted
        [result] = self._client.query(self._bucket, statement)
        found = queries.to_sample_columns(result)
        zeros = np.zeros(len(found.time_ms), np.int32)
        batch = SampleBatch(zeros, found.time_ms, found.value, found.quality)
        return summaries.summarise(batch, SUMMARY_STEP_MS["minute"], 0, {0})

    def _write(self, head: str, minutes: Summaries) -> None:
        circular = {0} if _is_circular(head) else set()
        for resolution, width in SUMMARY_STEP_MS.items():
            made = (
                minutes
                if resolution == "minute"
                else summaries.coarsen(minutes, width, 0, circular)
            )
            text = list(summary_lines(head, made))
            for start in range(0, len(text), _LINES):
                piece = "\n".join(text[start : start + _LINES]).encode()
                self._client.write(self._bucket + SUFFIX[resolution], piece)


def _name(part: dict[str, Any]) -> tuple[object, ...]:
    return (part["name"], *sorted(part["tags"].items()))


def _is_circular(head: str) -> bool:
    quantity = head.split(",", 1)[0]
    return quantity in QUANTITIES and QUANTITIES[quantity].circular


def as_summaries(envelope: Envelope) -> Summaries:
    """An envelope as summaries of series 0."""
    e = envelope
    series = np.zeros(len(e), np.int32)
    return Summaries(series, e.time_ms, e.mean, e.min, e.max, e.last, e.count, e.good, e.quality)


def summary_lines(head: str, summaries: Summaries) -> Iterator[str]:
    """A line for each summary; NaN values are left out."""
    s = summaries
    columns = (s.time_ms, s.mean, s.min, s.max, s.last, s.count, s.good, s.quality)
    for time_ms, mean, least, most, last, count, good, quality in zip(
        *(c.tolist() for c in columns), strict=True
    ):
        values = f"mean={mean!r},min={least!r},max={most!r},last={last!r}," if good else ""
        yield f"{head}{values}count={count}i,good={good}i,quality={quality}i {time_ms}"


def stored_summaries(series: Series, start_ms: int, end_ms: int) -> str:
    """The statement for the stored summaries of ``series``."""
    return (
        'SELECT "mean", "min", "max", "last", "count", "good", "quality" '  # noqa: S608  # quoted
        f"FROM {queries.source(series)} WHERE {queries.where_series(series)} "
        f"AND {queries.where_time(start_ms, end_ms)}"
    )


def to_summaries(result: queries.StatementResult) -> Summaries:
    """Decode the result of ``stored_summaries``."""
    found = queries.columns(result)
    if not found:
        return summaries.concat([])
    time_ms: Int64 = np.asarray(found["time"], np.int64)
    mean, least, most, last = (queries.floats(found[n]) for n in ("mean", "min", "max", "last"))
    count, good = queries.integers(found["count"]), queries.integers(found["good"])
    quality = queries.integers(found["quality"]).astype(np.uint8)
    series = np.zeros(len(time_ms), np.int32)
    made = Summaries(series, time_ms, mean, least, most, last, count, good, quality)
    return made.select(np.argsort(time_ms, kind="stable"))
