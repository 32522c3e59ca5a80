"""The fault layer: is this sensor telling the truth."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import float16_storage, pareto_tail
from cloud_ingest.detection.detector import (
    HIGHEST_SCORE,
    HOURS_A_MONTH,
    NEVER,
    Reason,
    Scores,
    State,
)
from cloud_ingest.detection.evaluation_ticks import Tick, ticks_by_time_slice, usable
from cloud_ingest.detection.sensor_faults import level_shift, peers, sensor_state
from cloud_ingest.detection.sensor_faults.classification import name_slow
from cloud_ingest.detection.sensor_faults.sensor_state import (
    TAILS,
    Float32,
    SensorField,
    TailFeature,
)
from cloud_ingest.detection.state_arrays import (
    ArraySpec,
    SparseState,
    StateArrays,
    StateTable,
    clip_to_float32,
    saved_table,
)
from telemetry.batches import Bool, Int64, SampleBatch, UInt8
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

SLICE_MS = 60_000
ENOUGH = 5.25
"""Evidence at which a fault is worth one alert a month (calibrated on river sondes)."""
EACH_UNIT = 0.2
"""By how much one unit of evidence more lengthens the return period, in powers of ten."""
ABSENT_CODES = (-9999.0, -999.0, -99.99, -999.9, 9999.9, -32768.0)
_ABSENT_BELOW = -99.0
_SHARE = 0.1
_BASE = -np.log10(_SHARE)
_LONGEST = 10_000.0
_TOGETHER = 0.1  # how much the jumps of a station's other metrics count
_VISITED = 3
_ROUGHNESS_STEPS = 12.0
_FAR = 2.0
_CALM = 4
_WORTH_WATCHING = 2.0
_CONFIRMED = 1.25
_SLOW_WEIGHT = 2.5
_APART_WEIGHT = 1.5
_ROUGH_WEIGHT = 1.0
_UPPER_ONLY: Bool = np.array([[True], [True], [False], [False], [True]])
_LOOK_STEPS = 10.0
"""Samples of an event after which its name is looked over, again and again."""
_SLOW_FAULT: Bool = np.zeros(256, np.bool_)
_SLOW_FAULT[[Reason.OFFSET, Reason.GAIN, Reason.DRIFT, Reason.OUT_OF_STEP]] = True
_UNMOVED: Bool = np.zeros(256, np.bool_)
_UNMOVED[[Reason.STUCK, Reason.SATURATED, Reason.DROPOUT]] = True
_JUMP_OR_SLOW = _SLOW_FAULT.copy()
_JUMP_OR_SLOW[Reason.SPIKE] = True
_JOINT, _SPIKE, _STUCK, _SILENT, _ROUGH, _BOTH, _UNLIKE = range(7)
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


class FaultDetector:
    """Names what is wrong with a sensor, with the evidence for it.

    A jump is the distance from the median of the last five values, judged against the series'
    own jumps; metrics of the same station that jump in the same moment add to each other, and
    three or more together are a visit. Equal values are judged against the series' own habit of
    repeating itself. Slow faults show against the peers (same quantity, other stations of the
    group): a mean difference, ratio or unlikeness that the series never had. What all stations
    see together changes none of these, so it is no fault.
    """

    def __init__(self) -> None:
        self._peers = peers.Peers()
        self._numbers = StateTable(sensor_state.initial_sensor_state())
        self._kinds = StateArrays({"judged": ArraySpec(np.bool_), "at_rest": ArraySpec(np.bool_)})
        self._memory = StateArrays(
            {
                "last_ms": ArraySpec(np.int64, NEVER),
                "reason": ArraySpec(np.uint8),
            }
        )
        self._since_ms = SparseState()

    @property
    def bytes_per_series(self) -> int:
        """StateArrays that one series takes."""
        parts = (self._memory.bytes_per_row, self._kinds.bytes_per_row, self._numbers.bytes_per_row)
        return sum(parts) + self._peers.bytes_per_series

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series, and find out who stands beside whom."""
        if not series:
            return
        rows = max(s.index for s in series) + 1
        for part in (self._memory, self._kinds, self._numbers):
            part.grow(rows)
        for one in series:
            known = QUANTITIES.get(one.quantity)
            odd = known is not None and (known.cumulative or known.circular)
            self._kinds["judged"][one.index] = not odd
            self._kinds["at_rest"][one.index] = one.quantity in RESTING
        self._peers.register(series)

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        which = usable(batch) & self._kinds["judged"][batch.series]
        for tick in ticks_by_time_slice(batch, which, SLICE_MS):
            fresh = tick.time_ms > self._memory["last_ms"][tick.series]
            tick = tick if fresh.all() else tick.select(fresh)  # noqa: PLW2901
            odd = (tick.value < _ABSENT_BELOW) | (tick.value == max(ABSENT_CODES))
            if odd.any():
                absent = np.isin(tick.value, ABSENT_CODES)
                self._tell_absent(tick.select(absent), scores)
                tick = tick.select(~absent)  # noqa: PLW2901
            if len(tick.place):
                self._judge(tick, scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        numbers = {"numbers": self._numbers.save()}
        return self._memory.save() | numbers | self._since_ms.save("since_ms")

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)
        self._numbers.load(saved_table(state))
        self._since_ms.load(state, "since_ms")

    def _tell_absent(self, tick: Tick, scores: Scores) -> None:
        if not len(tick.place):
            return
        sensor = self._numbers.take(tick.series)
        evidence = np.full(len(tick.place), 2.0 * ENOUGH, np.float32)
        self._report(tick, sensor, scores, evidence, lambda at: np.full(len(at), Reason.DROPOUT))
        self._numbers.put(tick.series, sensor)
        self._memory["last_ms"][tick.series] = tick.time_ms

    def _judge(self, tick: Tick, scores: Scores) -> None:
        s = tick.series
        x = clip_to_float32(tick.value).astype(np.float32)
        sensor = self._numbers.take(s)
        step_ms = (tick.time_ms - self._memory["last_ms"][s]).astype(np.float32)
        rough = _follow_steps(sensor, x, step_ms)
        old_enough = sensor[SensorField.COUNT] > 2 * _ROUGHNESS_STEPS
        _follow_usual_roughness(sensor, rough, old_enough)
        sensor[SensorField.COUNT] += 1.0
        # The peers may be in the same round.
        sensor[SensorField.LAST_VALUE] = self._numbers[SensorField.LAST_VALUE][s] = x
        self._memory["last_ms"][s] = tick.time_ms
        shifts = level_shift.follow_level_shifts(sensor, x)
        comparison = peers.compare(sensor, x, self._fresh_peers(tick, sensor))
        value = np.array(
            [
                np.abs(shifts.distance),
                rough,
                comparison.difference,
                comparison.ratio,
                comparison.apart,
            ]
        )
        given = np.array(
            [shifts.known, old_enough, comparison.known, comparison.known, comparison.known]
        )
        tails = sensor[TAILS].reshape(pareto_tail.FIELDS, len(TailFeature), len(s))
        able = shifts.known & pareto_tail.has_band(tails)[TailFeature.LEVEL_SHIFT]
        margin = _margin(tails[:, TailFeature.LEVEL_SHIFT], able)
        judged = pareto_tail.judge_tails(
            tails,
            value,
            given,
            1.0,
            upper_only=_UPPER_ONLY,
            chance=float16_storage.chance_of(tick.time_ms),
            share=_SHARE,
            longest=_LONGEST,
        )
        self._weigh(tick, sensor, x, np.abs(judged), shifts, scores)
        self._numbers.put(s, sensor)
        place = tick.place
        scores.expected[place] = np.where(np.isnan(margin), np.nan, shifts.expected)
        scores.low[place] = shifts.expected - margin
        scores.high[place] = shifts.expected + margin

    def _fresh_peers(self, tick: Tick, sensor: Float32) -> Float32:
        """The newest values of each sample's peers, NaN where there is none of about now."""
        others, there = self._fresh(tick.series, tick.time_ms, sensor)
        values: Float32 = np.where(
            there, self._numbers[SensorField.LAST_VALUE][others], np.float32(np.nan)
        )
        return values

    def _fresh(self, series: Int64, time_ms: Int64, sensor: Float32) -> tuple[Int64, Bool]:
        """The peers of each series, and which of these have a value of about now."""
        others, there = self._peers.of(series)
        age = np.abs(self._memory["last_ms"][others] - time_ms[:, None])
        there &= age <= peers.FRESH_STEPS * sensor[SensorField.INTERVAL_MS][:, None]
        return others, there

    def _weigh(
        self,
        tick: Tick,
        sensor: Float32,
        x: Float32,
        judged: Float32,
        shifts: level_shift.LevelShifts,
        scores: Scores,
    ) -> None:
        """Find the strongest evidence of each sample and the fault that it speaks for."""
        judged = np.maximum(judged - _BASE, 0.0)
        jump = judged[TailFeature.LEVEL_SHIFT]
        joint, visited = self._together(tick, jump)
        height = sensor[SensorField.SHIFT_EVIDENCE]
        back = shifts.returned & (height >= _WORTH_WATCHING)
        kinds = np.zeros((len(_NAMES), len(x)), np.float32)
        kinds[_JOINT] = joint
        kinds[_SPIKE] = _CONFIRMED * height * back
        kinds[_STUCK] = shifts.stuck * ~(self._kinds["at_rest"][tick.series] & (x == 0))
        kinds[_ROUGH] = _ROUGH_WEIGHT * judged[TailFeature.ROUGHNESS]
        # An event that all stations see adds to all or multiplies all: it leaves the difference
        # or the ratio alone. A fault changes both.
        difference, ratio, apart = judged[TailFeature.DIFFERENCE : TailFeature.DISTANCE + 1]
        kinds[_BOTH] = _SLOW_WEIGHT * np.minimum(difference, ratio)
        kinds[_UNLIKE] = _APART_WEIGHT * np.minimum(apart, np.maximum(ratio, 0.5 * apart))
        silent = shifts.new_zero & ((jump > 1.0) | (shifts.run >= 2))
        if silent.any():
            # A sensor without signal is also out of everything else; the name is in the zeros.
            kinds[:, silent] = 0.0
            kinds[_SILENT, silent] = 1.2 * ENOUGH
        recent = sensor[SensorField.SINCE_SHIFT] <= 3.0 * peers.DAY_STEPS
        height[back] = 0.0
        held = height * (sensor[SensorField.SINCE_SHIFT] <= level_shift.CONFIRM)
        fresh = (joint >= _WORTH_WATCHING) & (joint > held)

        def name(at: Int64) -> UInt8:
            strongest = kinds[:, at].argmax(axis=0)
            found: UInt8 = _NAMES[strongest]
            found[(strongest == _JOINT) & visited[at]] = Reason.VISIT
            found[(strongest == _STUCK) & shifts.at_limit[at]] = Reason.SATURATED
            slow = strongest == _BOTH
            found[slow & recent[at]] = Reason.OFFSET
            found[slow & (ratio > difference)[at]] = Reason.GAIN
            still = (shifts.run[at] >= level_shift.CONFIRM) & (x[at] != 0)
            found[slow & still & shifts.at_limit[at]] = Reason.SATURATED
            # What is known of an event by now is more than one sample says.
            before, age = self._memory["reason"][tick.series[at]], sensor[SensorField.EVENT_AGE, at]
            known = (age >= _LOOK_STEPS) & _SLOW_FAULT[before]
            known |= (age > 0) & _UNMOVED[before]
            known &= _JUMP_OR_SLOW[found]
            found[known] = before[known]
            return found

        self._report(tick, sensor, scores, kinds.max(axis=0), name)
        self._rename(tick, sensor, shifts, scores)
        if fresh.any():
            level_shift.record_level_shift(sensor, fresh, x, shifts, joint)

    def _rename(
        self, tick: Tick, sensor: Float32, shifts: level_shift.LevelShifts, scores: Scores
    ) -> None:
        """Name what goes on by all that was seen of it; scores and events stay as they are."""
        ongoing = sensor[SensorField.EVENT_EVIDENCE] > 0
        settled = ongoing & (sensor[SensorField.SINCE_SHIFT] == level_shift.CONFIRM + 1)
        age = sensor[SensorField.EVENT_AGE]
        looked = ongoing & (age > 0) & (age % _LOOK_STEPS == 0)
        at = np.flatnonzero(settled | looked)
        if not len(at):
            return
        s, some = tick.series[at], sensor[:, at]
        before = self._memory["reason"][s]
        # A spike comes back at once: what has stayed away is something else.
        stayed = (before == Reason.SPIKE) & settled[at] & (some[SensorField.SHIFT_EVIDENCE] > 0)
        reason = np.where(stayed, Reason.OFFSET, before)
        slow = _SLOW_FAULT[reason]
        named = np.flatnonzero(slow & looked[at])
        if len(named):
            slowly = some[:, named]
            rougher = self._rougher(tick, at[named], slowly)
            reason[named] = name_slow(slowly, rougher, reason[named])
        still = slow & (
            some[SensorField.RUN_LENGTH]
            >= np.where(settled[at], 1.0, some[SensorField.LONGEST_USUAL_RUN])
        )
        still &= some[SensorField.RUN_LENGTH] >= level_shift.CONFIRM
        zero = some[SensorField.LAST_VALUE] == 0
        reason[still] = Reason.STUCK
        reason[
            slow & (some[SensorField.RUN_LENGTH] >= level_shift.CONFIRM) & shifts.at_limit[at]
        ] = Reason.SATURATED
        reason[still & zero & ~self._kinds["at_rest"][s]] = Reason.DROPOUT
        self._memory["reason"][s] = reason
        scores.reason[tick.place[at]] = reason

    def _rougher(self, tick: Tick, at: Int64, sensor: Float32) -> Float32:
        """By how much the logarithm of the step height is above its usual, more than at peers."""
        others, there = self._fresh(tick.series[at], tick.time_ms[at], sensor)
        usual = self._numbers[SensorField.USUAL_ROUGHNESS][others]
        theirs = np.log(self._numbers[SensorField.ROUGHNESS][others] + 1e-9) - usual
        theirs = np.where(there, theirs, np.float32(np.nan))
        many = np.count_nonzero(there, axis=1)
        middle = np.where(many > 0, peers.median(theirs, many), np.float32(0.0))
        rougher: Float32 = np.log(sensor[SensorField.ROUGHNESS] + 1e-9)
        rougher -= sensor[SensorField.USUAL_ROUGHNESS] + middle
        return rougher

    def _together(self, tick: Tick, jump: Float32) -> tuple[Float32, Bool]:
        """LevelShifts with what the other metrics of the station add, and whether it is a visit."""
        large = jump > 0.5
        if not large.any():
            return np.zeros_like(jump), large
        station = self._peers.station(tick.series)
        total = np.bincount(station, weights=jump)
        many = np.bincount(station, weights=jump > 1.0)
        there = np.bincount(station)
        visited = (many >= _VISITED) & (2 * many >= there)
        joint = np.where(large, jump + _TOGETHER * (total[station] - jump), 0.0)
        return joint.astype(np.float32), visited[station]

    def _report(
        self,
        tick: Tick,
        sensor: Float32,
        scores: Scores,
        evidence: Float32,
        name: Callable[[Int64], UInt8],
    ) -> None:
        """Let events begin, go on and end."""
        active, calm = sensor[SensorField.EVENT_EVIDENCE], sensor[SensorField.CALM_SAMPLES]
        begins = (evidence >= 0.5 * ENOUGH) & (evidence > active)
        calm += 1.0
        calm *= evidence < 0.4 * active
        ongoing = active > 0
        over = calm >= _CALM
        if not begins.any() and not ongoing.any():
            return
        s, place = tick.series, tick.place
        calm[over] = 0.0
        active[over & ~begins] = 0.0
        new = np.flatnonzero(begins)
        active[new] = evidence[new]
        first = np.flatnonzero(begins & ~ongoing)
        sensor[SensorField.EVENT_AGE] += 1.0
        sensor[SensorField.EVENT_AGE, first] = 0.0
        if len(new):
            self._memory["reason"][s[new]] = name(new)
        since_ms = self._since_ms.times_of(s, tick.time_ms)
        since_ms[first] = tick.time_ms[first]
        self._since_ms.assign(s, since_ms, active > 0)
        on = np.flatnonzero(active > 0)
        score = np.log10(HOURS_A_MONTH) + EACH_UNIT * (active[on] - ENOUGH)
        scores.score[place[on]] = np.minimum(np.maximum(score, 0.0), HIGHEST_SCORE)
        scores.reason[place[on]] = self._memory["reason"][s[on]]
        scores.since_ms[place[on]] = since_ms[on]
        scores.onset[place[new]] = evidence[new]


def _follow_steps(sensor: Float32, x: Float32, step_ms: Float32) -> Float32:
    """Follow the interval between samples and the mean height of steps; gives its logarithm."""
    count, interval = sensor[SensorField.COUNT], sensor[SensorField.INTERVAL_MS]
    step_ms = np.where(count > 0, step_ms, np.float32(0.0))
    followed = interval + 0.05 * (np.minimum(step_ms, 2.0 * interval) - interval)
    interval[:] = np.where(count < 2, step_ms, followed)
    goes_on = (count > 0) & (step_ms <= 4.0 * interval)
    rough = sensor[SensorField.ROUGHNESS]
    change = np.where(goes_on, np.abs(x - sensor[SensorField.LAST_VALUE]), np.float32(0.0))
    # One jump is not a rough stretch: a change counts for at most four times the usual one.
    change = np.where(count > 24, np.minimum(change, 4.0 * rough + 1e-9), change)
    rough += goes_on / np.minimum(count + 1.0, _ROUGHNESS_STEPS) * (change - rough)
    logged: Float32 = np.log(rough + 1e-9)
    return logged


def _follow_usual_roughness(sensor: Float32, rough: Float32, old_enough: Bool) -> None:
    """Follow what the logarithm of the mean step height usually is."""
    usual = sensor[SensorField.USUAL_ROUGHNESS]
    seen = sensor[SensorField.COUNT] - 2.0 * _ROUGHNESS_STEPS
    rate = old_enough / np.minimum(np.maximum(seen, 1.0), _LONGEST)
    away = rough - usual
    # What is far away once the usual is known counts for as much as a factor of _FAR.
    usual += rate * np.where(seen > pareto_tail.WARM_UP, np.clip(away, -_FAR, _FAR), away)


def _margin(jump_tail: Float32, able: Bool) -> Float32:
    """How far from the median a value is enough evidence by itself; NaN while that is not known.

    Where the surprise reaches ENOUGH: log10(1 + SHAPE e) / SHAPE = ENOUGH.
    """
    reach = (10.0 ** (pareto_tail.SHAPE * ENOUGH) - 1.0) / pareto_tail.SHAPE
    over, _ = pareto_tail.mean_excess(jump_tail)
    margin = jump_tail[pareto_tail.HIGH] + reach * over
    found: Float32 = np.where(able, margin, np.float32(np.nan))
    return found


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
"""Quantities that may stay at zero for as long as they like."""
