"""Quality control: flags for the samples of all series at once, by the tests that apply to each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cloud_ingest.quality import qartod
from cloud_ingest.quality.parameters import TestParameters
from cloud_ingest.quality.settings import QualitySettings, default_settings
from cloud_ingest.quality.state import ConsecutiveSamples, SeriesState
from telemetry.batches import Bool, Int64, SampleBatch, UInt8, is_too_far_ahead
from telemetry.quality import Flag
from telemetry.series import Series
from telemetry.time.local_time import local_datetime

_NEIGHBOUR_AGE_MS = 600_000
"""Older values of a neighbour are not compared."""
_SPANS_EVERY_MS = 1_000
_OPTIONAL = ("spike_suspect", "rate_suspect", "flat_tolerance", "period_ms", "neighbour", "gap_ms")
"""Parameters of the tests that are skipped where no series uses them."""
_PIECE = 16_384
"""Samples judged at a time, so that intermediate arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """A span of calibration or maintenance; a field that is None matches anything."""

    station: str | None
    gateway: str | None
    device: str | None
    metric: str | None
    start_ms: int
    end_ms: int | None

    def covers(self, series: Series) -> bool:
        """True if the span applies to a series."""
        key = series.key
        wanted = (self.station, self.gateway, self.device, self.metric)
        own = (series.station, key.gateway, key.device, key.metric)
        return all(w is None or w == o for w, o in zip(wanted, own, strict=True))


class QualityControl:
    """Judges samples before they are stored. Not thread-safe: the pipeline owns it.

    ``marked`` returns the spans of calibration and maintenance. Samples in them fail, because a
    calibration gas is not the air. A sample that is not newer than the newest of its series gets
    only the tests that need no other samples. Devices are compared by their newest values.
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
        """Add series, or change what is known of them."""
        self._parameters.register(series, self._settings)
        self._series.extend([None] * (len(self._parameters) - len(self._series)))
        for s in series:
            self._series[s.index] = s
        self._used = {name for name in _OPTIONAL if self._parameters.uses(name)}
        self._state.grow(
            len(self._parameters),
            flat="flat_tolerance" in self._used,
            periods="period_ms" in self._used,
        )
        self._known_spans = ()
        self._spans_ms = 0

    def flag(self, batch: SampleBatch, now_ms: int) -> SampleBatch:
        """The same samples in the same order, with the flags of every test that applies.

        Where a sample already has a worse flag, that flag stays.
        """
        newest: list[Int64] = []
        flags: list[UInt8] = []
        done = 0
        for piece in batch.pieces(_PIECE):
            found_flags, last = self._flag(piece, now_ms)
            flags.append(found_flags)
            newest.append(last + done)
            done += len(piece)
        batch = batch.with_quality(np.concatenate(flags))
        if "neighbour" in self._used:
            self._judge_neighbours(batch, np.concatenate(newest))
        return batch

    def _flag(self, batch: SampleBatch, now_ms: int) -> tuple[UInt8, Int64]:
        """The flags, and the indexes of samples that are now the newest of their series."""
        p = self._parameters
        series = batch.series.astype(np.int64)
        rows = p.rows_of(series)
        flags = qartod.gross_range(
            batch.value, p.values("fail_low", rows), p.values("fail_high", rows),
            p.values("suspect_low", rows), p.values("suspect_high", rows),
        )  # fmt: skip
        flags[~p.has_range[series]] = Flag.NOT_EVALUATED
        if p.seasons:
            self._judge_seasons(batch, flags)
        missing = np.isnan(batch.value) | (batch.quality == Flag.MISSING)
        newest = np.empty(0, np.int64)
        if self._used:
            newest = self._judge_sequences(batch, series, flags, missing)
        flags[is_too_far_ahead(batch.time_ms, now_ms) & (flags <= Flag.NOT_EVALUATED)] = (
            Flag.SUSPECT
        )
        given_flags = np.where(batch.quality == Flag.MISSING, Flag.NOT_EVALUATED, batch.quality)
        flags = qartod.worse(flags, given_flags.astype(np.uint8))
        self._fail_marked(batch, flags, now_ms)
        flags[missing] = Flag.MISSING
        return flags, newest

    @property
    def nbytes(self) -> int:
        """Bytes of parameters and state of all series together."""
        return self._parameters.nbytes + self._state.nbytes

    def take_corrections(self) -> SampleBatch:
        """Earlier samples whose flags have become worse since they were returned."""
        corrections = SampleBatch.concat(self._corrections)
        self._corrections = []
        return corrections

    def _judge_sequences(
        self, batch: SampleBatch, series: Int64, flags: UInt8, missing: Bool
    ) -> Int64:
        """Apply the tests that need earlier samples; indexes of the newest sample of each series."""
        samples = ConsecutiveSamples.of(batch, series, missing, self._state)
        newest = samples.rows[samples.last]
        if not len(newest):
            return newest
        judged_flags = self._judge_by_earlier(samples)
        if "spike_suspect" in self._used:
            judged_flags.append(self._judge_spikes(samples))
        rows = slice(None) if samples.whole else samples.rows
        flags[rows] = qartod.worst([flags[rows], *judged_flags])
        self._state.follow(samples, flags[newest])
        return newest

    def _judge_by_earlier(self, samples: ConsecutiveSamples) -> list[UInt8]:
        """Flags of rate of change, flat line, attenuated signal and gap, as far as they are used."""
        p, rows = self._parameters, self._parameters.rows_of(samples.series)
        found_flags: list[UInt8] = []
        if "rate_suspect" in self._used:
            limit = p.values("rate_suspect", rows)
            seconds = samples.pause_ms / 1000.0
            judged_flags = qartod.rate_of_change(
                samples.value, samples.before, seconds, limit, p.values("rate_fail", rows)
            )
            found_flags.append(_only(judged_flags, np.isfinite(limit)))
        if "flat_tolerance" in self._used:
            tolerance = p.values("flat_tolerance", rows)
            flat_ms = self._state.flat_ms(samples, tolerance)
            flat_ms[samples.value == p.values("flat_ignore", rows)] = 0.0
            limit = p.values("flat_suspect_ms", rows)
            judged_flags = qartod.flat_line(flat_ms, limit, p.values("flat_fail_ms", rows))
            found_flags.append(_only(judged_flags, tolerance > 0))
        if "period_ms" in self._used:
            period_ms = p.values("period_ms", rows)
            deviation = self._state.deviation(samples, period_ms)
            judged_flags = qartod.attenuated_signal(
                deviation, p.values("std_suspect", rows), p.values("std_fail", rows)
            )
            found_flags.append(_only(judged_flags, period_ms > 0))
        if "gap_ms" in self._used:
            gap_ms = p.values("gap_ms", rows)
            judged_flags = qartod.time_gap(samples.pause_ms, gap_ms)
            found_flags.append(_only(judged_flags, np.isfinite(gap_ms)))
        return found_flags

    def _judge_spikes(self, samples: ConsecutiveSamples) -> UInt8:
        """Flags of the spike test, which needs the sample before and the one after.

        The newest sample of a series is judged when its successor arrives; if its flag gets worse
        then, it becomes a correction.
        """
        p, state = self._parameters, self._state
        judged_flags = np.full(len(samples.series), Flag.NOT_EVALUATED, np.uint8)
        if len(samples.first) < len(samples.series):  # otherwise no sample has a successor here
            rows = p.rows_of(samples.series)
            limits = p.values("spike_suspect", rows), p.values("spike_fail", rows)
            judged_flags = qartod.spike(samples.before, samples.value, samples.after, *limits)
        waiting = samples.series[samples.first]
        rows = p.rows_of(waiting)
        found_flags = qartod.spike(
            state.before[waiting], state.value[waiting], samples.value[samples.first],
            p.values("spike_suspect", rows), p.values("spike_fail", rows),
        )  # fmt: skip
        raised = qartod.is_worse(found_flags, state.flag[waiting]) & (found_flags >= Flag.SUSPECT)
        if raised.any():
            series = waiting[raised]
            self._corrections.append(
                SampleBatch.of(
                    series.astype(np.int32),
                    state.time_ms[series],
                    state.value[series],
                    found_flags[raised],
                )
            )
        return _only(judged_flags, judged_flags >= Flag.SUSPECT)

    def _judge_neighbours(self, batch: SampleBatch, newest: Int64) -> None:
        """Compare the newest value of each series with the nearest one of its group.

        ``newest`` holds indexes in the batch. The state already has all series of the batch, in
        whatever order they came. Missing and old values are not compared.
        """
        state = self._state
        newest = newest[batch.quality[newest] != Flag.MISSING]
        rows = self._parameters.rows_of(batch.series[newest].astype(np.int64))
        limit = self._parameters.values("neighbour", rows)
        compared = newest[np.isfinite(limit)]
        if not len(compared):
            return
        series = batch.series[compared]
        value = state.value.copy()
        value[state.time_ms <= int(batch.time_ms[newest].max()) - _NEIGHBOUR_AGE_MS] = np.nan
        distance = self._parameters.neighbours.nearest(value)
        found_flags = qartod.neighbour(distance[series], limit[np.isfinite(limit)])
        batch.quality[compared] = qartod.worse(batch.quality[compared], found_flags)
        state.flag[series] = qartod.worse(state.flag[series], found_flags)

    def _judge_seasons(self, batch: SampleBatch, flags: UInt8) -> None:
        """Climatology: compare values with the ranges of their month."""
        for index, tests in self._parameters.seasons.items():
            for row in np.flatnonzero(batch.series == index):
                month = local_datetime(int(batch.time_ms[row])).month
                season = next((s for s in tests.climatology if month in s.months), None)
                if season is None:
                    continue
                value = float(batch.value[row])
                if season.fail is not None and not season.fail[0] <= value <= season.fail[1]:
                    flags[row] = Flag.FAIL
                elif not season.suspect[0] <= value <= season.suspect[1]:
                    flags[row] = max(flags[row], Flag.SUSPECT)
                elif flags[row] == Flag.NOT_EVALUATED:
                    flags[row] = Flag.PASS

    def _fail_marked(self, batch: SampleBatch, flags: UInt8, now_ms: int) -> None:
        """Fail samples taken during calibration or maintenance."""
        if self._marked is not None and now_ms - self._spans_ms >= _SPANS_EVERY_MS:
            self._spans_ms = now_ms
            spans = tuple(self._marked())
            if spans != self._known_spans:
                self._known_spans = spans
                self._spans = [(span, self._covered(span)) for span in spans]
        for span, covered in self._spans:
            inside = covered[batch.series] & (batch.time_ms >= span.start_ms)
            if span.end_ms is not None:
                inside &= batch.time_ms < span.end_ms
            flags[inside] = Flag.FAIL

    def _covered(self, span: MarkedSpan) -> Bool:
        """True for each series that a span applies to."""
        covered = np.zeros(len(self._parameters), np.bool_)
        covered[[s.index for s in self._series if s is not None and span.covers(s)]] = True
        return covered


def _only(flags: UInt8, tested: Bool) -> UInt8:
    """The flags, with NOT_EVALUATED where ``tested`` is False."""
    flags[~tested] = Flag.NOT_EVALUATED
    return flags
