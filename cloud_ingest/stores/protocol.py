"""The protocol of every store of samples."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from telemetry.batches import Float64, Int64, SampleBatch, UInt8
from telemetry.series import Series

Aggregate = Literal["mean", "min", "max", "count", "last"]
Resolution = Literal["raw", "minute", "hour", "day"]
SUMMARY_STEP_MS: dict[Resolution, int] = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
"""The step of each resolution of summaries, finest first."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
EARLIEST_MS = (dt.datetime(1678, 1, 1, tzinfo=dt.UTC) - _EPOCH) // _MILLISECOND
LATEST_MS = (dt.datetime(2262, 1, 1, tzinfo=dt.UTC) - _EPOCH) // _MILLISECOND
"""The range of times that every store can hold: nanoseconds since 1970 in 64 bits."""


class StoreError(Exception):
    """A store could not do what was requested."""


class StoreUnavailable(StoreError):  # noqa: N818  # named by what went wrong
    """The store does not answer or is full. The same call may succeed later."""


class StoreRejected(StoreError):  # noqa: N818  # named by what went wrong
    """The store will never accept these samples; the rest of the batch is stored.

    ``rejected`` holds them, ``reasons`` the store's reason for each.
    """

    def __init__(self, rejected: SampleBatch, reasons: Sequence[str]) -> None:
        super().__init__(f"{len(rejected)} samples rejected: {reasons[0] if reasons else ''}")
        self.rejected = rejected
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True, eq=False)
class SampleColumns:
    """Samples, or one value per step, of one series, sorted by time.

    ``time_ms`` is the time of a sample or the start of a step. Steps without samples are absent.
    ``value`` is NaN if the device had none. ``quality`` is the flag of a sample, or the worst flag
    of the samples in a step that took part in its value.
    """

    time_ms: Int64
    value: Float64
    quality: UInt8


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """The summary of one series for each step that has samples.

    ``time_ms`` is the start of a step. ``mean``, ``min``, ``max`` and ``last`` are of the samples
    that took part (with a value, neither failed nor missing), NaN if none did. ``count`` is the
    number of all samples, ``good`` of those that took part, ``quality`` the worst flag of these (of
    all samples if none took part).
    """

    time_ms: Int64
    mean: Float64
    min: Float64
    max: Float64
    last: Float64
    count: Int64
    good: Int64
    quality: UInt8

    def __len__(self) -> int:
        return len(self.time_ms)

    def columns(self, aggregate: Aggregate) -> SampleColumns:
        """One value per step in which any sample took part."""
        has = self.good > 0
        column = self.good.astype(float) if aggregate == "count" else getattr(self, aggregate)
        return SampleColumns(self.time_ms[has], column[has], self.quality[has])


class SampleStore(Protocol):
    """A database of samples keyed by (series, time). Methods are called from several threads.

    Every method raises StoreUnavailable where the database does not answer.
    """

    def register(self, series: Sequence[Series]) -> None:
        """Register series before their first samples, and again after one changed."""

    def series(self) -> list[Series]:
        """The series found in the store itself, also from earlier runs and other processes.

        Their ``index`` is the one of their registration if the store saves it, else a running
        number.
        """

    def write(self, batch: SampleBatch) -> None:
        """Store samples durably: they survive kill -9 once this returns.

        A sample replaces a stored one with the same (series, time), so writing a batch twice
        changes nothing. Raises StoreRejected for samples that can never be stored (an infinite
        value, a time outside EARLIEST_MS..LATEST_MS, a refusal by the database); the rest of the
        batch is stored.
        """

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The latest sample of each of ``series``; series without samples are left out."""

    def read(
        self,
        series: Series,
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> SampleColumns:
        """Samples of ``series`` with start_ms <= time < end_ms, raw or one value per step.

        Steps start at multiples of ``step_ms`` since 1970, shifted by ``offset_ms`` (local days of
        UTC+7: offset -25,200,000). Failed and missing samples do not take part in an aggregate
        (``count`` counts those that do); without a step all samples are returned. The store uses
        the coarsest resolution of summaries that gives the same result.
        """

    def read_many(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int | None = None,
        aggregate: Aggregate = "mean",
        offset_ms: int = 0,
    ) -> list[SampleColumns]:
        """``read`` of several series at once, in the given order."""

    def envelope(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int,
        offset_ms: int = 0,
    ) -> list[Envelope]:
        """The summary of each step of several series at once, in the given order."""

    def scan(
        self, series: Sequence[Series], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Series, SampleColumns]]:
        """All samples of ``series`` in pieces of bounded size, for exports of any length.

        Series come in the given order, the pieces of one series sorted by time.
        """

    def count(self, series: Sequence[Series]) -> int:
        """The number of distinct (series, time) stored for ``series``."""

    def delete_before(self, time_ms: int, resolution: Resolution = "raw") -> None:
        """Delete samples (or summaries of another resolution) older than ``time_ms``."""

    def maintain(self, now_ms: int) -> None:
        """Do what is due: compaction, summaries, retention. A thread of ``open_store`` calls it."""

    def check(self) -> None:
        """Raise StoreUnavailable, with the reason, unless the store answers."""

    def close(self) -> None:
        """Finish writing and close the store."""
