"""Flags samples of all series at once, by the tests that apply to each.

A batch is gone through in rounds: the first sample of every series, then the second, and so on.
Each round is a handful of array operations over all its series.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from alert_rules.steps import LOCAL_OFFSET_MS
from cloud_ingest.quality import qartod
from cloud_ingest.quality.numbers import Numbers
from cloud_ingest.quality.settings import QualitySettings, default_settings
from telemetry.batches import Bool, Float64, Int64, SampleBatch, UInt8
from telemetry.quality import Flag
from telemetry.series import Series

FUTURE_MS = 600_000
"""A sample dated further ahead than this is suspect: its clock is wrong."""
_NEIGHBOUR_AGE_MS = 600_000
_WINDOWS_EVERY_MS = 1_000


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """A span of calibration or maintenance; fields that are None match anything."""

    station: str | None
    gateway: str | None
    device: str | None
    metric: str | None
    start_ms: int
    end_ms: int | None

    def meant(self, series: Series) -> bool:
        """Whether a series is under it."""
        key = series.key
        given = (self.station, self.gateway, self.device, self.metric)
        own = (series.station, key.gateway, key.device, key.metric)
        return all(g is None or g == o for g, o in zip(given, own, strict=True))


class QualityControl:
    """Judges samples before they are stored. Not thread-safe: the pipeline owns it.

    ``marked`` gives the spans of calibration and maintenance, whose samples fail: a calibration
    gas is no air. Samples no newer than the newest of their series are judged alone, without
    the tests that need neighbours in time.
    """

    def __init__(
        self,
        settings: QualitySettings | None = None,
        marked: Callable[[], Sequence[MarkedSpan]] | None = None,
    ) -> None:
        self._settings = settings if settings is not None else default_settings()
        self._marked = marked
        self._numbers = Numbers()
        self._series: dict[int, Series] = {}
        self._state = _State()
        self._corrections: list[SampleBatch] = []
        self._spans: list[tuple[MarkedSpan, Bool]] = []
        self._known_spans: tuple[MarkedSpan, ...] = ()
        self._spans_ms = 0
        self._used: set[str] = set()

    def register(self, series: Sequence[Series]) -> None:
        """Make series known; again when what is known of them changed."""
        self._numbers.register(series, self._settings)
        self._state.grow(len(self._numbers))
        self._series.update({s.index: s for s in series})
        names = (
            "spike_suspect",
            "rate_suspect",
            "flat_tolerance",
            "period_ms",
            "neighbour",
            "gap_ms",
        )
        self._used = {name for name in names if self._numbers.uses(name)}
        self._known_spans = ()
        self._spans_ms = 0

    def flag(self, batch: SampleBatch, now_ms: int) -> SampleBatch:
        """The same samples in the same order, with the flags of every test that applies.

        A flag that came with a sample stays where it is worse than what the tests find.
        """
        n = self._numbers
        index = batch.series.astype(np.int64)
        flags = qartod.gross_range(
            batch.value, n.of("fail_low", index), n.of("fail_high", index),
            n.of("suspect_low", index), n.of("suspect_high", index),
        )  # fmt: skip
        flags[~n.has_range(index)] = Flag.NOT_EVALUATED
        if n.seasons:
            self._judge_seasons(batch, flags)
        missing = np.isnan(batch.value) | (batch.quality == Flag.MISSING)
        if self._used:
            self._judge_rounds(batch, index, flags, missing)
        flags[(batch.time_ms > now_ms + FUTURE_MS) & (flags <= Flag.NOT_EVALUATED)] = Flag.SUSPECT
        given = np.where(batch.quality == Flag.MISSING, Flag.NOT_EVALUATED, batch.quality)
        flags = qartod.worse(flags, given.astype(np.uint8))
        self._mark(batch, flags, now_ms)
        flags[missing] = Flag.MISSING
        return batch.with_quality(flags)

    @property
    def nbytes(self) -> int:
        """What all series cost together, in bytes: their numbers and what is remembered."""
        return self._numbers.nbytes + self._state.nbytes

    def take_corrections(self) -> SampleBatch:
        """Earlier samples whose flags have become worse since they were given."""
        found = SampleBatch.concat(self._corrections)
        self._corrections = []
        return found

    def _judge_rounds(self, batch: SampleBatch, index: Int64, flags: UInt8, missing: Bool) -> None:
        for rows in _rounds(batch, index):
            fresh = rows[batch.time_ms[rows] > self._state.time_ms[index[rows]]]
            if not len(fresh):
                continue
            at, time_ms, value = index[fresh], batch.time_ms[fresh], batch.value[fresh].copy()
            value[missing[fresh]] = np.nan
            found = self._judge_round(at, time_ms, value)
            flags[fresh] = qartod.worse(flags[fresh], found)
            if "spike_suspect" in self._used:
                self._judge_spikes(at, value, flags)
            self._state.follow(at, time_ms, value, flags[fresh], fresh)
        self._state.forget_rows()

    def _judge_round(self, at: Int64, time_ms: Int64, value: Float64) -> UInt8:
        n, state = self._numbers, self._state
        found = np.full(len(at), Flag.NOT_EVALUATED, np.uint8)
        pause_ms = (time_ms - state.time_ms[at]).astype(np.float64)
        pause_ms[state.time_ms[at] == 0] = 0.0
        if "rate_suspect" in self._used:
            flags = qartod.rate_of_change(
                value, state.value[at], pause_ms / 1000.0,
                n.of("rate_suspect", at), n.of("rate_fail", at),
            )  # fmt: skip
            found = qartod.worse(found, _only(flags, np.isfinite(n.of("rate_suspect", at))))
        if "flat_tolerance" in self._used:
            flat_ms = state.flat_ms(at, time_ms, value, n.of("flat_tolerance", at))
            flat_ms[value == n.of("flat_ignore", at)] = 0.0
            flags = qartod.flat_line(flat_ms, n.of("flat_suspect_ms", at), n.of("flat_fail_ms", at))
            found = qartod.worse(found, _only(flags, n.of("flat_tolerance", at) > 0))
        if "period_ms" in self._used:
            deviation = state.deviation(at, time_ms, value, n.of("period_ms", at))
            flags = qartod.attenuated_signal(
                deviation, n.of("std_suspect", at), n.of("std_fail", at)
            )
            found = qartod.worse(found, _only(flags, n.of("period_ms", at) > 0))
        if "gap_ms" in self._used:
            gap_ms = n.of("gap_ms", at)
            found = qartod.worse(
                found, _only(qartod.time_gap(pause_ms, gap_ms), np.isfinite(gap_ms))
            )
        if "neighbour" in self._used:
            found = qartod.worse(found, self._judge_neighbours(at, time_ms, value))
        return found

    def _judge_spikes(self, at: Int64, value: Float64, flags: UInt8) -> None:
        """Judge each series' sample before this one, now that the one after it is known."""
        n, state = self._numbers, self._state
        found = qartod.spike(
            state.before[at], state.value[at], value,
            n.of("spike_suspect", at), n.of("spike_fail", at),
        )  # fmt: skip
        raised = qartod.is_worse(found, state.flag[at]) & (found >= Flag.SUSPECT)
        if not raised.any():
            return
        which, flag = at[raised], found[raised]
        row = state.row[which]
        here = row >= 0
        flags[row[here]] = flag[here]
        there = which[~here]
        if len(there):
            self._corrections.append(
                SampleBatch.of(
                    there.astype(np.int32), state.time_ms[there], state.value[there], flag[~here]
                )
            )

    def _judge_neighbours(self, at: Int64, time_ms: Int64, value: Float64) -> UInt8:
        """Compare with the nearest fresh value of the same quantity at the same station."""
        limit = self._numbers.of("neighbour", at)
        asked = np.flatnonzero(np.isfinite(limit))
        found = np.full(len(at), Flag.NOT_EVALUATED, np.uint8)
        if not len(asked):
            return found
        now = self._state.value.copy()
        now[at] = value
        fresh_ms = self._state.time_ms.copy()
        fresh_ms[at] = time_ms
        now[fresh_ms <= int(time_ms.max()) - _NEIGHBOUR_AGE_MS] = np.nan
        distance = self._numbers.neighbours.nearest(now)
        found[asked] = qartod.neighbour(distance[at[asked]], limit[asked])
        return found

    def _judge_seasons(self, batch: SampleBatch, flags: UInt8) -> None:
        """Climatology: what is usual in this month."""
        for index, found in self._numbers.seasons.items():
            rows = np.flatnonzero(batch.series == index)
            for row in rows:
                local_ms = int(batch.time_ms[row]) + LOCAL_OFFSET_MS
                month = datetime.fromtimestamp(local_ms / 1000, UTC).month
                season = next((s for s in found.climatology if month in s.months), None)
                if season is None:
                    continue
                value = float(batch.value[row])
                if season.fail is not None and not season.fail[0] <= value <= season.fail[1]:
                    flags[row] = Flag.FAIL
                elif not season.suspect[0] <= value <= season.suspect[1]:
                    flags[row] = max(flags[row], Flag.SUSPECT)
                elif flags[row] == Flag.NOT_EVALUATED:
                    flags[row] = Flag.PASS

    def _mark(self, batch: SampleBatch, flags: UInt8, now_ms: int) -> None:
        """Samples under calibration or maintenance are not for use."""
        if self._marked is not None and now_ms - self._spans_ms >= _WINDOWS_EVERY_MS:
            self._spans_ms = now_ms
            spans = tuple(self._marked())
            if spans != self._known_spans:
                self._known_spans = spans
                self._spans = [(span, self._under(span)) for span in spans]
        for span, under in self._spans:
            inside = under[batch.series] & (batch.time_ms >= span.start_ms)
            if span.end_ms is not None:
                inside &= batch.time_ms < span.end_ms
            flags[inside] = Flag.FAIL

    def _under(self, span: MarkedSpan) -> Bool:
        under = np.zeros(len(self._numbers), np.bool_)
        under[[i for i, s in self._series.items() if span.meant(s)]] = True
        return under


class _State:
    """What is remembered of each series: two samples, the flat run, the period under way."""

    def __init__(self) -> None:
        self.time_ms = np.empty(0, np.int64)
        self.value = np.empty(0)
        self.before = np.empty(0)
        self.flag = np.empty(0, np.uint8)
        self.row = np.empty(0, np.int32)
        self._flat_since_ms = np.empty(0, np.int64)
        self._flat_low = np.empty(0)
        self._flat_high = np.empty(0)
        self._period = np.empty(0, np.int64)
        self._count = np.empty(0)
        self._mean = np.empty(0)
        self._squares = np.empty(0)
        self._deviation = np.empty(0)
        self._touched: list[Int64] = []

    def grow(self, size: int) -> None:
        extra = size - len(self.time_ms)
        if extra <= 0:
            return
        for name, fill in (
            ("time_ms", 0), ("value", np.nan), ("before", np.nan), ("flag", Flag.MISSING),
            ("row", -1), ("_flat_since_ms", 0), ("_flat_low", np.inf), ("_flat_high", -np.inf),
            ("_period", -1), ("_count", 0.0), ("_mean", 0.0), ("_squares", 0.0),
            ("_deviation", np.nan),
        ):  # fmt: skip
            array = getattr(self, name)
            setattr(self, name, np.append(array, np.full(extra, fill, array.dtype)))

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in vars(self).values() if isinstance(a, np.ndarray))

    def follow(self, at: Int64, time_ms: Int64, value: Float64, flags: UInt8, rows: Int64) -> None:
        """These are the newest samples now; ``rows`` is where they stand in the batch."""
        self.before[at] = self.value[at]
        self.value[at], self.time_ms[at], self.flag[at] = value, time_ms, flags
        self.row[at] = rows
        self._touched.append(at)

    def forget_rows(self) -> None:
        """The batch is over."""
        for at in self._touched:
            self.row[at] = -1
        self._touched = []

    def flat_ms(self, at: Int64, time_ms: Int64, value: Float64, tolerance: Float64) -> Float64:
        """For how long each value has moved by less than its tolerance."""
        there = np.isfinite(value)
        low = np.fmin(self._flat_low[at], value)
        high = np.fmax(self._flat_high[at], value)
        moved = there & (np.isinf(self._flat_low[at]) | ~(high - low < tolerance))
        low[moved] = high[moved] = value[moved]
        since = np.where(moved, time_ms, self._flat_since_ms[at])
        self._flat_low[at], self._flat_high[at], self._flat_since_ms[at] = low, high, since
        return np.where(there, time_ms - since, 0).astype(np.float64)

    def deviation(self, at: Int64, time_ms: Int64, value: Float64, period_ms: Float64) -> Float64:
        """The standard deviation of each series' last whole period."""
        period = np.where(period_ms > 0, time_ms // np.maximum(period_ms, 1), -1).astype(np.int64)
        over = period != self._period[at]
        done = at[over]
        enough = self._count[done] >= 2
        spread = np.sqrt(self._squares[done] / np.maximum(self._count[done], 1))
        self._deviation[done] = np.where(enough, spread, np.nan)
        self._period[done] = period[over]
        self._count[done] = self._mean[done] = self._squares[done] = 0.0
        there = np.isfinite(value)
        one, x = at[there], value[there]
        self._count[one] += 1
        step = x - self._mean[one]
        self._mean[one] += step / self._count[one]
        self._squares[one] += step * (x - self._mean[one])
        return self._deviation[at]


def _only(flags: UInt8, asked: Bool) -> UInt8:
    """The flags of a test where it was asked for."""
    flags[~asked] = Flag.NOT_EVALUATED
    return flags


def _rounds(batch: SampleBatch, index: Int64) -> Iterator[Int64]:
    """The rows of the first sample of each series, of the second, and so on, in order of time."""
    if len(index) < 2 or (index[1:] > index[:-1]).all():
        yield np.arange(len(index))
        return
    order = np.lexsort((batch.time_ms, index))
    first = np.ones(len(order), np.bool_)
    first[1:] = index[order][1:] != index[order][:-1]
    start = np.flatnonzero(first)
    place = np.arange(len(order)) - start[np.cumsum(first) - 1]
    by_place = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place))
    for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        yield order[by_place[begin:end]]
