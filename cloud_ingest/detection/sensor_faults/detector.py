"""The fault layer: is this sensor telling the truth."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import pareto_tail
from cloud_ingest.detection.detector import (
    HIGHEST_SCORE,
    HOURS_PER_MONTH,
    NEVER,
    Reason,
    Scores,
    State,
)
from cloud_ingest.detection.evaluation_ticks import Tick, ticks_by_time_slice
from cloud_ingest.detection.pareto_tail import TailField
from cloud_ingest.detection.sensor_faults import level_shift, peers, roughness, sensor_state
from cloud_ingest.detection.sensor_faults.classification import name_slow_fault
from cloud_ingest.detection.sensor_faults.level_shift import LevelShifts
from cloud_ingest.detection.sensor_faults.sensor_state import (
    TAILS,
    Float32,
    SensorField,
    TailFeature,
)
from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays, StateTable, clip_to_float32
from telemetry.batches import Bool, Int64, SampleBatch, UInt8, usable
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

SLICE_MS = 60_000
ENOUGH = 5.25
"""Evidence at which a fault is worth one alert a month (calibrated on river sondes)."""
EACH_UNIT = 0.2
"""Each unit of evidence lengthens the return period by this power of ten."""
ABSENT_CODES = (-9999.0, -999.0, -99.99, -999.9, 9999.9, -32768.0)
"""Values that devices send instead of a measurement."""
RESTING = frozenset(
    {
        "precipitation_rate",
        "solar_irradiance",
        "illuminance",
        "uv_index",
        "wind_speed",
        "wind_gust",
        "vehicle_flow",
        "queue_length",
        "occupancy",
        "status",
    }
)
"""Quantities that may stay at zero for any time."""
_ABSENT_BELOW = -99.0
_SHARE = 0.1
_BASE = -np.log10(_SHARE)
_JOINT_SHARE = 0.1  # weight of the level shifts of the other metrics of a station
_VISIT_METRICS = 3
_CALM = 4  # samples with little evidence that end an event
_WORTH_WATCHING = 2.0
_CONFIRMED = 1.25
_PEER_WEIGHT = 2.5
_DISTANCE_WEIGHT = 1.5
_UPPER_ONLY: Bool = np.array([[True], [True], [False], [False], [True]])
_NAME_EVERY = 10.0
"""Samples of an event after which its name is examined again."""


def _reasons(*reasons: Reason) -> Bool:
    """A table that is True at the codes of some reasons."""
    table = np.zeros(256, np.bool_)
    table[list(reasons)] = True
    return table


_SLOW_FAULT = _reasons(Reason.OFFSET, Reason.GAIN, Reason.DRIFT, Reason.OUT_OF_STEP)
_CONSTANT = _reasons(Reason.STUCK, Reason.SATURATED, Reason.DROPOUT)
_SPIKE_OR_SLOW = _SLOW_FAULT | _reasons(Reason.SPIKE)


class _Evidence(IntEnum):
    """Kinds of evidence, in the order of their rows."""

    LEVEL_SHIFT = 0
    SPIKE = 1
    STUCK = 2
    NO_SIGNAL = 3
    ROUGHNESS = 4
    PEER_DEVIATION = 5
    UNLIKE_PEERS = 6


_NAMES = np.array(
    [
        Reason.SPIKE,
        Reason.SPIKE,
        Reason.STUCK,
        Reason.DROPOUT,
        Reason.ERRATIC,
        Reason.DRIFT,
        Reason.OUT_OF_STEP,
    ],
    np.uint8,
)
"""The name of a fault by its strongest evidence."""


class FaultDetector:
    """Finds and names sensor faults.

    A level shift is the distance from the median of the last five values, compared with the
    earlier shifts of the series. Shifts of several metrics of a station at the same time add to
    each other; three or more are a visit. Equal values are compared with the usual repetitions of
    the series. Slow faults show in the comparison with the peers (same quantity, other stations of
    the group): a mean difference, ratio or distance that the series never had. What all stations
    see together changes none of these, so it is no fault.
    """

    def __init__(self) -> None:
        self._peers = peers.Peers()
        self._table = StateTable(sensor_state.initial_sensor_state())
        self._kinds = StateArrays({"judged": ArraySpec(np.bool_), "at_rest": ArraySpec(np.bool_)})
        self._state = StateArrays(
            {
                "last_ms": ArraySpec(np.int64, NEVER),
                "since_ms": ArraySpec(np.int64),
                "reason": ArraySpec(np.uint8),
            }
        )

    @property
    def bytes_per_series(self) -> int:
        """Bytes of state for each series."""
        parts = (self._state, self._kinds, self._table)
        return sum(p.bytes_per_row for p in parts) + self._peers.bytes_per_series

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series and find their peers."""
        if not series:
            return
        rows = max(s.index for s in series) + 1
        for part in (self._state, self._kinds, self._table):
            part.grow(rows)
        for one in series:
            known = QUANTITIES.get(one.quantity)
            excluded = known is not None and (known.cumulative or known.circular)
            self._kinds["judged"][one.index] = not excluded
            self._kinds["at_rest"][one.index] = one.quantity in RESTING
        self._peers.register(series)

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        which = usable(batch.value, batch.quality) & self._kinds["judged"][batch.series]
        for tick in ticks_by_time_slice(batch, which, SLICE_MS):
            fresh = tick.time_ms > self._state["last_ms"][tick.series]
            tick = tick if fresh.all() else tick.select(fresh)  # noqa: PLW2901  # the samples left of it
            possible = (tick.value < _ABSENT_BELOW) | (tick.value == max(ABSENT_CODES))
            if possible.any():
                absent = np.isin(tick.value, ABSENT_CODES)
                self._report_absent(tick.select(absent), scores)
                tick = tick.select(~absent)  # noqa: PLW2901  # the samples left of it
            if len(tick):
                self._judge(tick, scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        return self._state.save() | self._table.save()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state."""
        self._state.load(state)
        self._table.load(state)

    def _report_absent(self, tick: Tick, scores: Scores) -> None:
        """Report codes for an absent value as a dropout."""
        if not len(tick):
            return
        sensor = self._table.take(tick.series)
        evidence = np.full(len(tick), 2.0 * ENOUGH, np.float32)
        self._report(tick, sensor, scores, evidence, lambda at: np.full(len(at), Reason.DROPOUT))
        self._table.put(tick.series, sensor)
        self._state["last_ms"][tick.series] = tick.time_ms

    def _judge(self, tick: Tick, scores: Scores) -> None:
        s = tick.series
        x = clip_to_float32(tick.value).astype(np.float32)
        sensor = self._table.take(s)
        step_ms = (tick.time_ms - self._state["last_ms"][s]).astype(np.float32)
        rough, rough_known = roughness.follow_roughness(sensor, x, step_ms)
        sensor[SensorField.COUNT] += 1.0
        # Written at once, because the peers may be in the same tick.
        sensor[SensorField.LAST_VALUE] = self._table[SensorField.LAST_VALUE][s] = x
        self._state["last_ms"][s] = tick.time_ms
        shifts = level_shift.follow_level_shifts(sensor, x)
        peer = peers.compare(sensor, x, self._peer_values(tick, sensor))
        value = np.array(
            [np.abs(shifts.distance), rough, peer.difference, peer.ratio, peer.distance]
        )
        valid = np.array([shifts.known, rough_known, peer.known, peer.known, peer.known])
        tails = sensor[TAILS].reshape(len(TailField), len(TailFeature), len(s))
        able = shifts.known & pareto_tail.has_band(tails)[TailFeature.LEVEL_SHIFT]
        margin = _margin(tails[:, TailFeature.LEVEL_SHIFT], able)
        surprises = pareto_tail.update_tails(
            tails,
            value,
            valid,
            1.0,
            upper_only=_UPPER_ONLY,
            share=_SHARE,
            longest=roughness.LONGEST,
        )
        self._weigh(tick, sensor, x, np.abs(surprises), shifts, scores)
        self._table.put(s, sensor)
        scores.expected[tick.row] = np.where(np.isnan(margin), np.nan, shifts.expected)
        scores.low[tick.row] = shifts.expected - margin
        scores.high[tick.row] = shifts.expected + margin

    def _peer_values(self, tick: Tick, sensor: Float32) -> Float32:
        """The newest values of the peers of each sample, NaN where they are not fresh."""
        others, fresh = self._fresh_peers(tick.series, tick.time_ms, sensor)
        values = self._table[SensorField.LAST_VALUE][others]
        return np.where(fresh, values, np.float32(np.nan))

    def _fresh_peers(self, series: Int64, time_ms: Int64, sensor: Float32) -> tuple[Int64, Bool]:
        """Candidates for peers of each series, and which of them are peers with a fresh value."""
        others, fresh = self._peers.peers_of(series)
        age_ms = np.abs(self._state["last_ms"][others] - time_ms[:, None])
        fresh &= age_ms <= peers.FRESH_STEPS * sensor[SensorField.INTERVAL_MS][:, None]
        return others, fresh

    def _weigh(
        self,
        tick: Tick,
        sensor: Float32,
        x: Float32,
        surprises: Float32,
        shifts: LevelShifts,
        scores: Scores,
    ) -> None:
        """Find the strongest evidence of each sample and report the fault that it stands for."""
        surprises = np.maximum(surprises - _BASE, 0.0)
        shift = surprises[TailFeature.LEVEL_SHIFT]
        joint, visit = self._add_other_metrics(tick, shift)
        earlier = sensor[SensorField.SHIFT_EVIDENCE]
        returned = shifts.returned & (earlier >= _WORTH_WATCHING)
        kinds = np.zeros((len(_Evidence), len(x)), np.float32)
        kinds[_Evidence.LEVEL_SHIFT] = joint
        kinds[_Evidence.SPIKE] = _CONFIRMED * earlier * returned
        at_rest = self._kinds["at_rest"][tick.series] & (x == 0)
        kinds[_Evidence.STUCK] = shifts.stuck * ~at_rest
        kinds[_Evidence.ROUGHNESS] = surprises[TailFeature.ROUGHNESS]
        # A regional event adds the same to all stations or multiplies all by the same factor. It
        # leaves either the difference or the ratio alone, while a fault changes both.
        difference, ratio, distance = surprises[TailFeature.DIFFERENCE :]
        kinds[_Evidence.PEER_DEVIATION] = _PEER_WEIGHT * np.minimum(difference, ratio)
        unlike = np.minimum(distance, np.maximum(ratio, 0.5 * distance))
        kinds[_Evidence.UNLIKE_PEERS] = _DISTANCE_WEIGHT * unlike
        no_signal = shifts.new_zero & ((shift > 1.0) | (shifts.run >= 2))
        if no_signal.any():
            # Zeros also cause all other evidence, so they decide the name.
            kinds[:, no_signal] = 0.0
            kinds[_Evidence.NO_SIGNAL, no_signal] = 1.2 * ENOUGH
        recent = sensor[SensorField.SINCE_SHIFT] <= 3.0 * peers.DAY_STEPS
        earlier[returned] = 0.0
        pending = earlier * (sensor[SensorField.SINCE_SHIFT] <= level_shift.CONFIRM)
        fresh = (joint >= _WORTH_WATCHING) & (joint > pending)

        def name(at: Int64) -> UInt8:
            strongest = kinds[:, at].argmax(axis=0)
            reason: UInt8 = _NAMES[strongest]
            reason[(strongest == _Evidence.LEVEL_SHIFT) & visit[at]] = Reason.VISIT
            reason[(strongest == _Evidence.STUCK) & shifts.at_limit[at]] = Reason.SATURATED
            slow = strongest == _Evidence.PEER_DEVIATION
            reason[slow & recent[at]] = Reason.OFFSET
            reason[slow & (ratio > difference)[at]] = Reason.GAIN
            constant = (shifts.run[at] >= level_shift.CONFIRM) & (x[at] != 0)
            reason[slow & constant & shifts.at_limit[at]] = Reason.SATURATED
            # A name that was found from many samples is better than that of a single one.
            before = self._state["reason"][tick.series[at]]
            age = sensor[SensorField.EVENT_AGE, at]
            settled = (age >= _NAME_EVERY) & _SLOW_FAULT[before]
            settled |= (age > 0) & _CONSTANT[before]
            settled &= _SPIKE_OR_SLOW[reason]
            reason[settled] = before[settled]
            return reason

        self._report(tick, sensor, scores, kinds.max(axis=0), name)
        self._rename(tick, sensor, shifts, scores)
        if fresh.any():
            level_shift.record_level_shift(sensor, fresh, x, shifts, joint)

    def _rename(self, tick: Tick, sensor: Float32, shifts: LevelShifts, scores: Scores) -> None:
        """Examine the names of ongoing events again; scores and events do not change."""
        ongoing = sensor[SensorField.EVENT_EVIDENCE] > 0
        confirmed = ongoing & (sensor[SensorField.SINCE_SHIFT] == level_shift.CONFIRM + 1)
        age = sensor[SensorField.EVENT_AGE]
        due = ongoing & (age > 0) & (age % _NAME_EVERY == 0)
        at = np.flatnonzero(confirmed | due)
        if not len(at):
            return
        s, some, confirmed, due = tick.series[at], sensor[:, at], confirmed[at], due[at]
        before = self._state["reason"][s]
        # A spike returns at once; a shift that has not returned is an offset.
        stayed = (before == Reason.SPIKE) & confirmed & (some[SensorField.SHIFT_EVIDENCE] > 0)
        reason = np.where(stayed, Reason.OFFSET, before)
        slow = _SLOW_FAULT[reason]
        named = np.flatnonzero(slow & due)
        if len(named):
            slowly = some[:, named]
            rougher = self._rougher_than_peers(tick, at[named], slowly)
            reason[named] = name_slow_fault(slowly, rougher, reason[named])
        run = some[SensorField.RUN_LENGTH]
        constant = slow & (run >= level_shift.CONFIRM)
        long = constant & (run >= np.where(confirmed, 1.0, some[SensorField.LONGEST_USUAL_RUN]))
        zero = some[SensorField.LAST_VALUE] == 0
        reason[long] = Reason.STUCK
        reason[constant & shifts.at_limit[at]] = Reason.SATURATED
        reason[long & zero & ~self._kinds["at_rest"][s]] = Reason.DROPOUT
        self._state["reason"][s] = reason
        scores.reason[tick.row[at]] = reason

    def _rougher_than_peers(self, tick: Tick, at: Int64, sensor: Float32) -> Float32:
        """Increase of the roughness (logarithm), minus the median increase of the peers."""
        others, fresh = self._fresh_peers(tick.series[at], tick.time_ms[at], sensor)
        table = self._table
        theirs = roughness.increase(
            table[SensorField.ROUGHNESS][others], table[SensorField.USUAL_ROUGHNESS][others]
        )
        theirs = np.where(fresh, theirs, np.float32(np.nan))
        count = np.count_nonzero(fresh, axis=1)
        middle = np.where(count > 0, peers.median(theirs, count), np.float32(0.0))
        own = roughness.increase(sensor[SensorField.ROUGHNESS], sensor[SensorField.USUAL_ROUGHNESS])
        rougher: Float32 = own - middle
        return rougher

    def _add_other_metrics(self, tick: Tick, shift: Float32) -> tuple[Float32, Bool]:
        """Level shifts with a share of those of the station's other metrics; True for a visit."""
        large = shift > 0.5
        if not large.any():
            return np.zeros_like(shift), large
        station = self._peers.station(tick.series)
        total = np.bincount(station, weights=shift)
        shifted = np.bincount(station, weights=shift > 1.0)
        metrics = np.bincount(station)
        visit = (shifted >= _VISIT_METRICS) & (2 * shifted >= metrics)
        joint = np.where(large, shift + _JOINT_SHARE * (total[station] - shift), 0.0)
        return joint.astype(np.float32), visit[station]

    def _report(
        self,
        tick: Tick,
        sensor: Float32,
        scores: Scores,
        evidence: Float32,
        name: Callable[[Int64], UInt8],
    ) -> None:
        """Begin, continue and end events; ``name`` gives the reasons at some indexes of the tick."""
        active, calm = sensor[SensorField.EVENT_EVIDENCE], sensor[SensorField.CALM_SAMPLES]
        begins = (evidence >= 0.5 * ENOUGH) & (evidence > active)
        calm += 1.0
        calm *= evidence < 0.4 * active
        ongoing = active > 0
        over = calm >= _CALM
        if not begins.any() and not ongoing.any():
            return
        s, row = tick.series, tick.row
        calm[over] = 0.0
        active[over & ~begins] = 0.0
        new = np.flatnonzero(begins)
        active[new] = evidence[new]
        first = np.flatnonzero(begins & ~ongoing)
        sensor[SensorField.EVENT_AGE] += 1.0
        sensor[SensorField.EVENT_AGE, first] = 0.0
        if len(new):
            self._state["reason"][s[new]] = name(new)
        self._state["since_ms"][s[first]] = tick.time_ms[first]
        on = np.flatnonzero(active > 0)
        score = np.log10(HOURS_PER_MONTH) + EACH_UNIT * (active[on] - ENOUGH)
        scores.score[row[on]] = np.minimum(np.maximum(score, 0.0), HIGHEST_SCORE)
        scores.reason[row[on]] = self._state["reason"][s[on]]
        scores.since_ms[row[on]] = self._state["since_ms"][s[on]]
        scores.onset[row[new]] = evidence[new]


def _margin(shift_tail: Float32, able: Bool) -> Float32:
    """Distance from the median at which a level shift alone is enough evidence; NaN if unknown.

    Solves log10(1 + SHAPE e) / SHAPE = ENOUGH for the excess e.
    """
    reach = (10.0 ** (pareto_tail.SHAPE * ENOUGH) - 1.0) / pareto_tail.SHAPE
    margin = shift_tail[TailField.HIGH] + reach * shift_tail[TailField.EXCESS_ABOVE]
    return np.where(able, margin, np.float32(np.nan))
