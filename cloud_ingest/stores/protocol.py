"""What every store of samples can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from telemetry.batches import Float64, Int64, SampleBatch, UInt8
from telemetry.series import Series

Aggregate = Literal["mean", "min", "max", "count", "last"]


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
class Readings:
    """Samples (or steps) of one series in the order of time.

    ``time_ms`` is a sample's time, or the start of a step. Steps without samples are absent: a
    gap stays a gap. ``value`` NaN: the device had none. ``quality``: the flag of a sample, or the
    worst flag of those in a step that took part in its value.
    """

    time_ms: Int64
    value: Float64
    quality: UInt8


class SampleStore(Protocol):
    """A database of samples keyed by (series, time). Methods are called from several threads.

    Every method raises StoreUnavailable where the database does not answer.
    """

    def register(self, series: Sequence[Series]) -> None:
        """Make series known before their first samples; again when what is known of one changed."""

    def write(self, batch: SampleBatch) -> None:
        """Put samples in durably (they survive kill -9 once this returns).

        A sample whose (series, time) is there already takes its place: writing the same batch
        twice changes nothing. Raises StoreRejected for samples it can never take.
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
    ) -> Readings:
        """Samples of ``series`` with start_ms <= time < end_ms, raw or one value per step.

        Steps are aligned to the Unix epoch. Failed and missing samples do not take part in an
        aggregate (``count`` counts those that do); raw reading gives all.
        """

    def count(self, series: Sequence[Series]) -> int:
        """How many distinct (series, time) are stored for ``series``."""

    def delete_before(self, time_ms: int) -> None:
        """Forget samples older than ``time_ms`` (retention)."""

    def check(self) -> None:
        """Return if the store answers; StoreUnavailable with the reason if not."""

    def close(self) -> None:
        """Finish writing and let go of the database."""
