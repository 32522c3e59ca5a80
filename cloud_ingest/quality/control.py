"""Flags samples of all series at once, by the tests that apply to each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cloud_ingest.quality import qartod
from cloud_ingest.quality.parameters import TestParameters
from cloud_ingest.quality.settings import QualitySettings, default_settings
from cloud_ingest.quality.state import ConsecutiveSamples, SeriesState
from telemetry.batches import Bool, Int64, SampleBatch, UInt8, is_too_far_ahead
from telemetry.local_time import local_datetime
from telemetry.quality import Flag
from telemetry.series import Series

_NEIGHBOUR_AGE_MS = 600_000
_WINDOWS_EVERY_MS = 1_000
_PIECE = 16_384
"""Samples judged at a time: the arrays on the way stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """A span of calibration or maintenance; fields that are None match anything."""

    station: str | None
    gateway: str | None
    device: str | None
    metric: str | None
    start_ms: int
    end_ms: int | None

    def covers(self, series: Series) -> bool:
        """Whether a series is under it."""
        key = series.key
        given = (self.station, self.gateway, self.device, self.metric)
        own = (series.station, key.gateway, key.device, key.metric)
        return all(g is None or g == o for g, o in zip(given, own, strict=True))


class QualityControl:
    """Judges samples before they are stored. Not thread-safe: the pipeline owns it.

    ``marked`` gives the spans of calibration and maintenance, whose samples fail: a calibration
    gas is no air. Samples no newer than the newest of their series are judged alone, without
    the tests that need neighbours in time. Devices are compared by their newest values.
    """

    def __init__(
        self,
        settings: QualitySettings | None = None,
        marked: Callable[[], Sequence[MarkedSpan]] | None = None,
    ) -> None:
        self._settings = settings if settings is not None else default_settings()
        self._marked = marked
        self._parameters = TestParameters()
        self._series: list[Series | None] = []
        self._state = SeriesState()
        self._corrections: list[SampleBatch] = []
        self._spans: list[tuple[MarkedSpan, Bool]] = []
        self._known_spans: tuple[MarkedSpan, ...] = ()
        self._spans_ms = 0
        self._used: set[str] = set()

    def register(self, series: Sequence[Series]) -> None:
        """Make series known; again when what is known of them changed."""
        self._parameters.register(series, self._settings)
        self._series.extend([None] * (len(self._parameters) - len(self._series)))
        for s in series:
            self._series[s.index] = s
        names = (
            "spike_suspect",
            "rate_suspect",
            "flat_tolerance",
            "period_ms",
            "neighbour",
            "gap_ms",
        )
        self._used = {name for name in names if self._parameters.uses(name)}
        self._state.grow(
            len(self._parameters),
            flat="flat_tolerance" in self._used,
            periods="period_ms" in self._used,
        )
        self._known_spans = ()
        self._spans_ms = 0

    def flag(self, batch: SampleBatch, now_ms: int) -> SampleBatch:
        """The same samples in the same order, with the flags of every test that applies.

        A flag that came with a sample stays where it is worse than what the tests find.
        """
        newest: list[Int64] = []
        flags: list[UInt8] = []
        done = 0
        for piece in batch.pieces(_PIECE):
            found, last = self._flag(piece, now_ms)
            flags.append(found)
            newest.append(last + done)
            done += len(piece)
        batch = batch.with_quality(np.concatenate(flags))
        if "neighbour" in self._used:
            self._judge_neighbours(batch, np.concatenate(newest))
        self._parameters.forget()
        return batch

    def _flag(self, batch: SampleBatch, now_ms: int) -> tuple[UInt8, Int64]:
        """The flags, and the places of what is the newest of its series now."""
        n = self._parameters
        index = batch.series.astype(np.int64)
        flags = qartod.gross_range(
            batch.value, n.of("fail_low", index), n.of("fail_high", index),
            n.of("suspect_low", index), n.of("suspect_high", index),
        )  # fmt: skip
        flags[~n.has_range(index)] = Flag.NOT_EVALUATED
        if n.seasons:
            self._judge_seasons(batch, flags)
        missing = np.isnan(batch.value) | (batch.quality == Flag.MISSING)
        newest = np.empty(0, np.int64)
        if self._used:
            newest = self._judge_sequences(batch, index, flags, missing)
        flags[is_too_far_ahead(batch.time_ms, now_ms) & (flags <= Flag.NOT_EVALUATED)] = (
            Flag.SUSPECT
        )
        given = np.where(batch.quality == Flag.MISSING, Flag.NOT_EVALUATED, batch.quality)
        flags = qartod.worse(flags, given.astype(np.uint8))
        self._mark(batch, flags, now_ms)
        flags[missing] = Flag.MISSING
        return flags, newest

    @property
    def nbytes(self) -> int:
        """What all series cost together, in bytes: their numbers and what is remembered."""
        return self._parameters.nbytes + self._state.nbytes

    def take_corrections(self) -> SampleBatch:
        """Earlier samples whose flags have become worse since they were given."""
        found = SampleBatch.concat(self._corrections)
        self._corrections = []
        return found

    def _judge_sequences(
        self, batch: SampleBatch, index: Int64, flags: UInt8, missing: Bool
    ) -> Int64:
        """The tests that look along each series; the places of what is newest now."""
        run = ConsecutiveSamples.of(batch, index, missing, self._state)
        newest = run.rows[run.last]
        if not len(newest):
            return newest
        judged = self._judge_neighbourhood(run)
        if "spike_suspect" in self._used:
            judged.append(self._judge_spikes(run))
        rows = slice(None) if run.whole else run.rows
        flags[rows] = qartod.worst([flags[rows], *judged])
        self._state.follow(run, flags[newest])
        return newest

    def _judge_neighbourhood(self, run: ConsecutiveSamples) -> list[UInt8]:
        n, at = self._parameters, run.series
        found: list[UInt8] = []
        pause_ms = run.pause_ms
        if "rate_suspect" in self._used:
            limit = n.of("rate_suspect", at)
            judged = qartod.rate_of_change(
                run.value, run.before, pause_ms / 1000.0, limit, n.of("rate_fail", at)
            )
            found.append(_only(judged, np.isfinite(limit)))
        if "flat_tolerance" in self._used:
            tolerance = n.of("flat_tolerance", at)
            flat_ms = self._state.flat_ms(run, tolerance)
            flat_ms[run.value == n.of("flat_ignore", at)] = 0.0
            limit = n.of("flat_suspect_ms", at)
            judged = qartod.flat_line(flat_ms, limit, n.of("flat_fail_ms", at))
            found.append(_only(judged, tolerance > 0))
        if "period_ms" in self._used:
            period_ms = n.of("period_ms", at)
            deviation = self._state.deviation(run, period_ms)
            judged = qartod.attenuated_signal(
                deviation, n.of("std_suspect", at), n.of("std_fail", at)
            )
            found.append(_only(judged, period_ms > 0))
        if "gap_ms" in self._used:
            gap_ms = n.of("gap_ms", at)
            judged = qartod.time_gap(pause_ms, gap_ms)
            found.append(_only(judged, np.isfinite(gap_ms)))
        return found

    def _judge_spikes(self, run: ConsecutiveSamples) -> UInt8:
        """Judge what has a sample before and after it now; the newest ones wait for the next."""
        n, memory, at = self._parameters, self._state, run.series
        judged = np.full(len(at), Flag.NOT_EVALUATED, np.uint8)
        if len(run.first) < len(at):  # none has a sample after it otherwise
            limits = n.of("spike_suspect", at), n.of("spike_fail", at)
            judged = qartod.spike(run.before, run.value, run.after, *limits)
        # the newest sample of the batches before, whose successor is here now
        first = run.series[run.first]
        found = qartod.spike(
            memory.before[first], memory.value[first], run.value[run.first],
            n.of("spike_suspect", first), n.of("spike_fail", first),
        )  # fmt: skip
        raised = qartod.is_worse(found, memory.flag[first]) & (found >= Flag.SUSPECT)
        if raised.any():
            which = first[raised]
            self._corrections.append(
                SampleBatch.of(
                    which.astype(np.int32),
                    memory.time_ms[which],
                    memory.value[which],
                    found[raised],
                )
            )
        return _only(judged, judged >= Flag.SUSPECT)

    def _judge_neighbours(self, batch: SampleBatch, newest: Int64) -> None:
        """Compare each series' newest value with the nearest fresh one of the same quantity here.

        All series of a batch are up to date by now, in whatever order they came. ``newest`` are the
        places in the batch of what is newest; a missing value is compared with nothing.
        """
        memory = self._state
        newest = newest[batch.quality[newest] != Flag.MISSING]
        limit = self._parameters.of("neighbour", batch.series[newest].astype(np.int64))
        asked = newest[np.isfinite(limit)]
        if not len(asked):
            return
        at = batch.series[asked]
        now = memory.value.copy()
        now[memory.time_ms <= int(batch.time_ms[newest].max()) - _NEIGHBOUR_AGE_MS] = np.nan
        distance = self._parameters.neighbours.nearest(now)
        found = qartod.neighbour(distance[at], limit[np.isfinite(limit)])
        batch.quality[asked] = qartod.worse(batch.quality[asked], found)
        memory.flag[at] = qartod.worse(memory.flag[at], found)

    def _judge_seasons(self, batch: SampleBatch, flags: UInt8) -> None:
        """Climatology: what is usual in this month."""
        for index, found in self._parameters.seasons.items():
            rows = np.flatnonzero(batch.series == index)
            for row in rows:
                month = local_datetime(int(batch.time_ms[row])).month
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
        under = np.zeros(len(self._parameters), np.bool_)
        under[[s.index for s in self._series if s is not None and span.covers(s)]] = True
        return under


def _only(flags: UInt8, asked: Bool) -> UInt8:
    """The flags of a test where it was asked for."""
    flags[~asked] = Flag.NOT_EVALUATED
    return flags
