"""The InfluxDB store: samples written as line protocol and read in InfluxQL."""

import datetime as dt
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import numpy as np
import structlog

from cloud_ingest.stores import summaries, validation
from cloud_ingest.stores.configuration import KeepConfiguration, StoreConfiguration
from cloud_ingest.stores.influxdb import line_protocol, queries, rollup
from cloud_ingest.stores.influxdb.client import Access, InfluxClient, WriteRefused
from cloud_ingest.stores.influxdb.rejected_lines import store_the_rest
from cloud_ingest.stores.influxdb.rollup import DAY_MS, Rollup
from cloud_ingest.stores.influxdb.setup import SUFFIX, buckets_of, set_up
from cloud_ingest.stores.latest_samples import LatestSamples, LatestSamplesCache
from cloud_ingest.stores.protocol import (
    EARLIEST_MS,
    LATEST_MS,
    SUMMARY_STEP_MS,
    Aggregate,
    Envelope,
    Resolution,
    SampleColumns,
    StoreError,
    StoreRejected,
    StoreUnavailable,
)
from cloud_ingest.stores.summaries import Summaries
from cloud_ingest.stores.summary_plan import Span, coarsest_fitting, divide
from cloud_ingest.stores.upkeep import Upkeep
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

_log = structlog.get_logger()
KEEP_ALL = KeepConfiguration(raw_days=None, minute_days=None, hour_days=None, day_days=None)
WRITE_LINES = 5_000
SMALL_LINES = 1_000
CONCURRENT_WRITES = 2
"""Write requests at a time: one is prepared while the server handles another."""
PIECE_ROWS = 50_000
STATEMENTS = 50
"""InfluxQL statements in one request."""


class InfluxStore:
    """A SampleStore in an InfluxDB server of version 1.x, 2.x or 3.x."""

    def __init__(
        self,
        client: InfluxClient,
        bucket: str,
        keep: KeepConfiguration | None = None,
        org: str | None = None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._org = org
        self._keep = keep or KEEP_ALL
        self._buckets = buckets_of(bucket, self._keep)
        self._rollup = Rollup(client, bucket)
        self._latest = LatestSamplesCache()
        self._deleted_before_ms = -(1 << 62)
        self._prefixes: list[str] = []
        self._registered = np.zeros(0, np.bool_)
        self._registering = threading.Lock()
        self._pool = ThreadPoolExecutor(CONCURRENT_WRITES, "influxdb-write")
        self._upkeep: Upkeep | None = None

    @classmethod
    def open(cls, configuration: StoreConfiguration, upkeep_s: float) -> Self:
        """Open the configured store, and create missing databases if the server permits it."""
        client = InfluxClient(access_of(configuration))
        store = cls(client, configuration.bucket, configuration.keep, configuration.org)
        store.prepare()
        store._upkeep = Upkeep(store.maintain, upkeep_s)
        return store

    def prepare(self) -> None:
        """Create missing databases if the server permits it.

        For a token that may only read and write, ``quantrac cloud init`` creates them.
        """
        try:
            set_up(self._client, self._org, self._buckets)
        except StoreUnavailable:
            raise
        except StoreError as error:
            _log.info("database_setup_not_permitted", problem=str(error))

    def register(self, series: Sequence[Series]) -> None:
        """Prepare the line prefixes of ``series``."""
        self._rollup.register(series)
        with self._registering:
            missing = max((s.index for s in series), default=-1) + 1 - len(self._prefixes)
            registered = np.concatenate([self._registered, np.zeros(max(missing, 0), np.bool_)])
            self._prefixes.extend([""] * missing)
            for s in series:
                self._prefixes[s.index] = line_protocol.prefix(s)
                registered[s.index] = True
            self._registered = registered

    def series(self) -> list[Series]:
        """The series that have samples in the database, indexed in the order of their names."""
        tags = ", ".join(line_protocol.quoted_identifier(t) for t in line_protocol.TAGS)
        [result] = self._query(f'SELECT last("quality") FROM /.*/ GROUP BY {tags}')  # noqa: S608  # names are constants
        found = {(line_protocol.key_of(a["tags"]), a["name"], a["tags"]["station"]) for a in result}
        return [
            Series(
                i, key, "", line_protocol.decode_name(station), line_protocol.decode_name(name), ""
            )
            for i, (key, name, station) in enumerate(
                sorted(found, key=lambda f: (str(f[0]), f[1], f[2]))
            )
        ]

    def write(self, batch: SampleBatch) -> None:
        """Send samples as line protocol; returns once the server has stored them."""
        good, rejection = validation.validate_batch(batch)
        good, unregistered = self._split_registered(good)
        refusals: list[StoreRejected | None] = [rejection, unregistered]
        if len(good):
            days = self._rollup.days_of(good)
            self._rollup.touch(days)
            refusals.extend(self._pool.map(self._send_all, _shares(good)))
            self._rollup.touch(days)
        rejected = validation.merge_rejections(*refusals)
        if rejected is None:
            self._latest.add_written(good)
        else:
            self._latest.invalidate(np.unique(batch.series))
        if rejected is not None:
            raise rejected

    def _split_registered(self, batch: SampleBatch) -> tuple[SampleBatch, StoreRejected | None]:
        registered = self._registered
        if not len(batch) or (
            int(batch.series.max()) < len(registered) and registered[batch.series].all()
        ):
            return batch, None
        bad = batch.series >= len(registered)
        bad[~bad] = ~registered[batch.series[~bad]]
        reasons = [f"series {s} was never registered" for s in batch.series[bad]]
        return batch.select(~bad), StoreRejected(batch.select(bad), reasons)

    def _send_all(self, batch: SampleBatch) -> StoreRejected | None:
        """Send a share piece by piece, so that the later of two samples with one time wins."""
        starts = range(0, len(batch), WRITE_LINES)
        pieces = (batch.select(np.arange(p, min(p + WRITE_LINES, len(batch)))) for p in starts)
        return validation.merge_rejections(*[self._send(piece) for piece in pieces])

    def _send(self, batch: SampleBatch) -> StoreRejected | None:
        def send(text: list[str]) -> None:
            self._client.write(self._bucket, "\n".join(text).encode())

        text = line_protocol.lines(batch, self._prefixes)
        try:
            send(text)
        except WriteRefused as refused:
            return store_the_rest(batch, text, send, refused)
        return None

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The latest sample of each of ``series``.

        For series that this process writes it is cached; the others are queried from the server.
        """
        numbers = np.fromiter((s.index for s in series), np.int32, len(series))
        cached = self._latest.is_known(numbers)
        others = [s for s, known in zip(series, cached.tolist(), strict=True) if not known]
        found = self._query_latest(others) if others else SampleBatch.empty()
        self._latest.add_queried(np.array([s.index for s in others], np.int32), found)
        return SampleBatch.concat([self._latest.of(numbers[cached]), found])

    def _query_latest(self, series: Sequence[Series]) -> SampleBatch:
        rows: list[tuple[int, int, float, int]] = []
        last = 'SELECT "value", "quality" FROM {} {} ORDER BY time DESC LIMIT 1'
        for index, (time_ms, value, quality) in self._rows_of(series, last):
            known = value is not None and quality != Flag.MISSING
            flag = Flag.NOT_EVALUATED if quality is None else quality
            rows.append((index, time_ms, value if known else np.nan, flag))
        if not rows:
            return SampleBatch.empty()
        found = LatestSamples()
        found.update(SampleBatch.of(*zip(*rows, strict=True)))
        return found.all()

    def _rows_of(self, series: Sequence[Series], statement: str) -> Iterator[tuple[int, list[Any]]]:
        """The first row that ``statement`` returns for each series: (series index, row)."""
        wanted = {s.key: s.index for s in series}
        by = "GROUP BY " + ", ".join(line_protocol.quoted_identifier(t) for t in line_protocol.TAGS)
        if len(series) <= STATEMENTS:
            statements = [
                statement.format(queries.source(s), f"WHERE {queries.where_series(s)} {by}")
                for s in series
            ]
        else:
            sources = sorted({queries.source(s) for s in series})
            statements = [statement.format(source, by) for source in sources]
        for result in self._query_all(statements):
            for part in result:
                index = wanted.get(line_protocol.key_of(part["tags"]))
                if index is not None:
                    yield index, part["values"][0]

    def read(
        self,
        series: Series,
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> SampleColumns:
        """Samples of ``series``, raw or one value per step."""
        [found] = self.read_many([series], start_ms, end_ms, step_ms, aggregate, offset_ms)
        return found

    def read_many(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> list[SampleColumns]:
        """``read`` of several series with one request."""
        if step_ms is not None:
            found = self.envelope(series, start_ms, end_ms, step_ms, offset_ms)
            return [e.columns(aggregate) for e in found]
        start_ms, end_ms = _within(start_ms, end_ms)
        statements = [queries.samples(s, start_ms, end_ms) for s in series]
        return [queries.to_sample_columns(result) for result in self._query_all(statements)]

    def envelope(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int,
        offset_ms: int = 0,
    ) -> list[Envelope]:
        """The summary of each step of several series, from stored summaries where possible."""
        start_ms, end_ms = _within(start_ms, end_ms)
        resolution = coarsest_fitting(step_ms, offset_ms)
        return [
            self._summaries(s, (start_ms, end_ms), step_ms, offset_ms, resolution).envelope()
            for s in series
        ]

    def _summaries(
        self,
        series: Series,
        span: Span,
        step_ms: int,
        offset_ms: int,
        resolution: Resolution | None,
    ) -> Summaries:
        """Summaries of one series: stored ones for closed days, otherwise from samples."""
        closed = self._rollup.closed_days(series.key.gateway) if resolution else set()
        circular = {0} if _is_angle(series) else set()
        if resolution is None or not closed:
            return self._from_samples(series, span, step_ms, offset_ms)
        width = SUMMARY_STEP_MS[resolution]
        ready, rest = divide(span, width, closed, self._deleted_before_ms)
        pieces = [self._from_samples(series, part, width, 0) for part in rest]
        if ready:
            statement = rollup.stored_summaries(series, ready[0][0], ready[-1][1])
            [result] = self._client.query(self._bucket + SUFFIX[resolution], statement)
            found = rollup.to_summaries(result)
            days = np.fromiter(closed, np.int64)
            pieces.append(found.select(np.isin(found.time_ms // DAY_MS, days)))
        fine = summaries.concat([p for p in pieces if len(p)])
        fine = fine.select(np.argsort(fine.time_ms, kind="stable"))
        return summaries.coarsen(fine, step_ms, offset_ms, circular)

    def _from_samples(self, series: Series, span: Span, step_ms: int, offset_ms: int) -> Summaries:
        if _is_angle(series):
            found = self.read(series, *span)
            zeros = np.zeros(len(found.time_ms), np.int32)
            batch = SampleBatch(zeros, found.time_ms, found.value, found.quality)
            return summaries.summarise(batch, step_ms, offset_ms, {0})
        good, everything = self._query(queries.steps(series, *span, step_ms, offset_ms))
        return rollup.as_summaries(queries.to_envelope(good, everything))

    def scan(
        self, series: Sequence[Series], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Series, SampleColumns]]:
        """All samples of ``series``, queried piece by piece."""
        start_ms, end_ms = _within(start_ms, end_ms)
        for s in series:
            start = start_ms
            while True:
                [result] = self._query(queries.samples(s, start, end_ms, PIECE_ROWS))
                piece = queries.to_sample_columns(result)
                if not len(piece.time_ms):
                    break
                yield s, piece
                start = int(piece.time_ms[-1]) + 1

    def count(self, series: Sequence[Series]) -> int:
        """The number of distinct (series, time) on the server for ``series``."""
        return sum(row[1] for _, row in self._rows_of(series, 'SELECT count("quality") FROM {} {}'))

    def delete_before(self, time_ms: int, resolution: Resolution = "raw") -> None:
        """Delete samples older than ``time_ms``. InfluxDB 3 cannot: StoreError."""
        bucket = self._bucket + SUFFIX[resolution]
        self._latest.invalidate_all()
        if self._client.major == 1:
            self._client.query(bucket, f"DELETE WHERE time < {time_ms}ms")
        elif self._client.major == 2:
            query = urlencode({"org": self._org or "", "bucket": bucket})
            span = {"start": _rfc3339(EARLIEST_MS), "stop": _rfc3339(time_ms - 1)}  # inclusive
            self._client.call("POST", f"/api/v2/delete?{query}", span)
        else:
            raise StoreError("InfluxDB 3 deletes by the retention period of the database only")

    def maintain(self, now_ms: int) -> None:
        """Make the summaries that are due. The server handles retention."""
        if self._keep.raw_days is not None:
            self._deleted_before_ms = now_ms - self._keep.raw_days * DAY_MS
        self._rollup.maintain(now_ms)

    def check(self) -> None:
        """Raise StoreUnavailable unless the server answers."""
        self._client.ping()

    def close(self) -> None:
        """Close the connections."""
        if self._upkeep is not None:
            self._upkeep.stop()
        self._pool.shutdown()
        self._client.close()

    def _query(self, statements: str) -> list[queries.StatementResult]:
        return self._client.query(self._bucket, statements)

    def _query_all(self, statements: Sequence[str]) -> Iterable[queries.StatementResult]:
        """The results of many statements, sent in groups."""
        for start in range(0, len(statements), STATEMENTS):
            yield from self._query("; ".join(statements[start : start + STATEMENTS]))


def _is_angle(series: Series) -> bool:
    quantity = QUANTITIES.get(series.quantity)
    return quantity is not None and quantity.circular


def _rfc3339(time_ms: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shares(batch: SampleBatch) -> list[SampleBatch]:
    """``batch`` split into shares for concurrent writes; a series is in one share only."""
    if len(batch) <= SMALL_LINES:
        return [batch] if len(batch) else []
    shares = (batch.select(batch.series % CONCURRENT_WRITES == n) for n in range(CONCURRENT_WRITES))
    return [share for share in shares if len(share)]


def _within(start_ms: int, end_ms: int) -> tuple[int, int]:
    """The span clipped to the times that InfluxDB supports."""
    return max(start_ms, EARLIEST_MS), min(end_ms, LATEST_MS)


def access_of(configuration: StoreConfiguration) -> Access:
    """The server and the secrets of ``configuration``; StoreUnavailable if a file is unreadable."""
    assert configuration.url is not None
    return Access(
        configuration.url,
        token=_secret(configuration.token_file),
        org=configuration.org,
        username=configuration.username,
        password=_secret(configuration.password_file),
        timeout_s=configuration.timeout_s,
    )


def _secret(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error
