"""What every store of samples can do."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from telemetry.batches import Float64, Int64, SampleBatch, UInt8
from telemetry.series import Series

Aggregate = Literal["mean", "min", "max", "count", "last"]
Resolution = Literal["raw", "minute", "hour", "day"]
SUMMARY_STEP_MS: dict[Resolution, int] = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
"""The steps for which summaries are kept, finest first."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
EARLIEST_MS = (dt.datetime(1678, 1, 1, tzinfo=dt.UTC) - _EPOCH) // _MILLISECOND
LATEST_MS = (dt.datetime(2262, 1, 1, tzinfo=dt.UTC) - _EPOCH) // _MILLISECOND
"""Times that every store can hold (nanoseconds since 1970 in 64 bits reach no further)."""


class StoreError(Exception):
    """A store could not do what it was asked."""


class StoreUnavailable(StoreError):  # noqa: N818  # named by what went wrong
    """The store does not answer, or is full: the same call may succeed later."""


class StoreRejected(StoreError):  # noqa: N818  # named by what went wrong
    """The store took the rest of a batch but will never take these samples.

    ``rejected`` holds them, ``reasons`` the store's own words for each.
    """

    def __init__(self, rejected: SampleBatch, reasons: Sequence[str]) -> None:
        super().__init__(f"{len(rejected)} samples rejected: {reasons[0] if reasons else ''}")
        self.rejected = rejected
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True, eq=False)
class SampleColumns:
    """Samples (or steps) of one series in the order of time.

    ``time_ms`` is a sample's time, or the start of a step. Steps without samples are absent: a
    gap stays a gap. ``value`` NaN: the device had none. ``quality``: the flag of a sample, or the
    worst flag of those in a step that took part in its value.
    """

    time_ms: Int64
    value: Float64
    quality: UInt8


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """What happened to one series in each step that has samples: enough to draw it truthfully.

    ``time_ms`` is the start of a step. ``mean``, ``min``, ``max`` and ``last`` are of the samples
    that took part (a value, and neither failed nor missing), NaN where none did. ``count`` is all
    samples, ``good`` those that took part, ``quality`` the worst flag of these (of all samples
    where none took part).
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
        """Make series known before their first samples; again when what is known of one changed."""

    def series(self) -> list[Series]:
        """The series that this store knows by itself, also from earlier runs and other processes.

        Their ``index`` is the one they were registered with, where the store keeps it, else a
        running number.
        """

    def write(self, batch: SampleBatch) -> None:
        """Put samples in durably (they survive kill -9 once this returns).

        A sample whose (series, time) is there already takes its place: writing the same batch
        twice changes nothing. Raises StoreRejected for samples it can never take (an infinite
        value, a time beyond EARLIEST_MS..LATEST_MS, what the database refuses for good); the rest
        of the batch is stored then.
        """

    def latest(self, series: Sequence[Series]) -> SampleBatch:
        """The newest sample of each of ``series`` that has one."""

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

        Steps begin at multiples of ``step_ms`` since the Unix epoch, moved by ``offset_ms`` (local
        days of UTC+7: offset -25,200,000). Failed and missing samples do not take part in an
        aggregate (``count`` counts those that do); raw reading gives all. The store picks the
        coarsest resolution of summaries that gives the same answer.
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
        """``read`` of several series at once, in their order."""

    def envelope(
        self,
        series: Sequence[Series],
        start_ms: int,
        end_ms: int,
        step_ms: int,
        offset_ms: int = 0,
    ) -> list[Envelope]:
        """Everything known of each step of several series at once, in their order."""

    def scan(
        self, series: Sequence[Series], start_ms: int, end_ms: int
    ) -> Iterator[tuple[Series, SampleColumns]]:
        """All samples of ``series`` in pieces of bounded size, for exports of any length.

        Series come in the order given, the pieces of one in the order of time.
        """

    def count(self, series: Sequence[Series]) -> int:
        """How many distinct (series, time) are stored for ``series``."""

    def delete_before(self, time_ms: int, resolution: Resolution = "raw") -> None:
        """Forget samples (or summaries of another resolution) older than ``time_ms``."""

    def maintain(self, now_ms: int) -> None:
        """Do what is due: compaction, summaries, retention. ``open_store`` has a thread call it."""

    def check(self) -> None:
        """Return if the store answers; StoreUnavailable with the reason if not."""

    def close(self) -> None:
        """Finish writing and let go of the database."""
