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
from cloud_ingest.detection.evaluation_ticks import Round, rounds_in_time, usable
from cloud_ingest.detection.sensor_faults import level_shift as jumping
from cloud_ingest.detection.sensor_faults import peers as beside
from cloud_ingest.detection.sensor_faults import sensor_state as sensors
from cloud_ingest.detection.sensor_faults.classification import name_slow
from cloud_ingest.detection.sensor_faults.sensor_state import TAILS, Look, Numbers, Of
from cloud_ingest.detection.state_arrays import Column, Memory, Rare, saved_numbers, within_reach
from cloud_ingest.detection.state_arrays import Numbers as Table
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
        self._peers = beside.Peers()
        self._numbers = Table(sensors.new_sensor())
        self._kinds = Memory({"judged": Column(np.bool_), "at_rest": Column(np.bool_)})
        self._memory = Memory(
            {
                "last_ms": Column(np.int64, NEVER),
                "reason": Column(np.uint8),
            }
        )
        self._since_ms = Rare()

    @property
    def bytes_a_series(self) -> int:
        """Memory that one series takes."""
        parts = (self._memory.bytes_a_row, self._kinds.bytes_a_row, self._numbers.bytes_a_row)
        return sum(parts) + self._peers.bytes_a_series

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series, and find out who stands beside whom."""
        if not series:
            return
        rows = max(s.index for s in series) + 1
        for part in (self._memory, self._kinds, self._numbers):
            part.make_room(rows)
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
        for turn in rounds_in_time(batch, which, SLICE_MS):
            fresh = turn.time_ms > self._memory["last_ms"][turn.series]
            turn = turn if fresh.all() else turn.select(fresh)  # noqa: PLW2901
            odd = (turn.value < _ABSENT_BELOW) | (turn.value == max(ABSENT_CODES))
            if odd.any():
                absent = np.isin(turn.value, ABSENT_CODES)
                self._tell_absent(turn.select(absent), scores)
                turn = turn.select(~absent)  # noqa: PLW2901
            if len(turn.place):
                self._judge(turn, scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        numbers = {"numbers": self._numbers.save()}
        return self._memory.save() | numbers | self._since_ms.save("since_ms")

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)
        self._numbers.load(saved_numbers(state))
        self._since_ms.load(state, "since_ms")

    def _tell_absent(self, turn: Round, scores: Scores) -> None:
        if not len(turn.place):
            return
        sensor = self._numbers.take(turn.series)
        evidence = np.full(len(turn.place), 2.0 * ENOUGH, np.float32)
        self._report(turn, sensor, scores, evidence, lambda at: np.full(len(at), Reason.DROPOUT))
        self._numbers.put(turn.series, sensor)
        self._memory["last_ms"][turn.series] = turn.time_ms

    def _judge(self, turn: Round, scores: Scores) -> None:
        s = turn.series
        x = within_reach(turn.value).astype(np.float32)
        sensor = self._numbers.take(s)
        step_ms = (turn.time_ms - self._memory["last_ms"][s]).astype(np.float32)
        rough = _follow_steps(sensor, x, step_ms)
        old_enough = sensor[Of.COUNT] > 2 * _ROUGHNESS_STEPS
        _follow_usual_roughness(sensor, rough, old_enough)
        sensor[Of.COUNT] += 1.0
        # The peers may be in the same round.
        sensor[Of.LAST_VALUE] = self._numbers[Of.LAST_VALUE][s] = x
        self._memory["last_ms"][s] = turn.time_ms
        jumps = jumping.follow_jumps(sensor, x)
        peers = beside.compare(sensor, x, self._fresh_peers(turn, sensor))
        value = np.array(
            [np.abs(jumps.distance), rough, peers.difference, peers.ratio, peers.apart]
        )
        given = np.array([jumps.known, old_enough, peers.known, peers.known, peers.known])
        tails = sensor[TAILS].reshape(pareto_tail.FIELDS, len(Look), len(s))
        able = jumps.known & pareto_tail.has_band(tails)[Look.JUMP]
        margin = _margin(tails[:, Look.JUMP], able)
        judged = pareto_tail.judge_tails(
            tails,
            value,
            given,
            1.0,
            upper_only=_UPPER_ONLY,
            chance=float16_storage.chance_of(turn.time_ms),
            share=_SHARE,
            longest=_LONGEST,
        )
        self._weigh(turn, sensor, x, np.abs(judged), jumps, scores)
        self._numbers.put(s, sensor)
        place = turn.place
        scores.expected[place] = np.where(np.isnan(margin), np.nan, jumps.expected)
        scores.low[place] = jumps.expected - margin
        scores.high[place] = jumps.expected + margin

    def _fresh_peers(self, turn: Round, sensor: Numbers) -> Numbers:
        """The newest values of each sample's peers, NaN where there is none of about now."""
        others, there = self._fresh(turn.series, turn.time_ms, sensor)
        values: Numbers = np.where(there, self._numbers[Of.LAST_VALUE][others], np.float32(np.nan))
        return values

    def _fresh(self, series: Int64, time_ms: Int64, sensor: Numbers) -> tuple[Int64, Bool]:
        """The peers of each series, and which of these have a value of about now."""
        others, there = self._peers.of(series)
        age = np.abs(self._memory["last_ms"][others] - time_ms[:, None])
        there &= age <= beside.FRESH_STEPS * sensor[Of.INTERVAL_MS][:, None]
        return others, there

    def _weigh(
        self,
        turn: Round,
        sensor: Numbers,
        x: Numbers,
        judged: Numbers,
        jumps: jumping.Jumps,
        scores: Scores,
    ) -> None:
        """Find the strongest evidence of each sample and the fault that it speaks for."""
        judged = np.maximum(judged - _BASE, 0.0)
        jump = judged[Look.JUMP]
        joint, visited = self._together(turn, jump)
        height = sensor[Of.JUMP_EVIDENCE]
        back = jumps.returned & (height >= _WORTH_WATCHING)
        kinds = np.zeros((len(_NAMES), len(x)), np.float32)
        kinds[_JOINT] = joint
        kinds[_SPIKE] = _CONFIRMED * height * back
        kinds[_STUCK] = jumps.stuck * ~(self._kinds["at_rest"][turn.series] & (x == 0))
        kinds[_ROUGH] = _ROUGH_WEIGHT * judged[Look.ROUGH]
        # An event that all stations see adds to all or multiplies all: it leaves the difference
        # or the ratio alone. A fault changes both.
        difference, ratio, apart = judged[Look.DIFFERENCE : Look.APART + 1]
        kinds[_BOTH] = _SLOW_WEIGHT * np.minimum(difference, ratio)
        kinds[_UNLIKE] = _APART_WEIGHT * np.minimum(apart, np.maximum(ratio, 0.5 * apart))
        silent = jumps.new_zero & ((jump > 1.0) | (jumps.run >= 2))
        if silent.any():
            # A sensor without signal is also out of everything else; the name is in the zeros.
            kinds[:, silent] = 0.0
            kinds[_SILENT, silent] = 1.2 * ENOUGH
        recent = sensor[Of.SINCE_JUMP] <= 3.0 * beside.DAY_STEPS
        height[back] = 0.0
        held = height * (sensor[Of.SINCE_JUMP] <= jumping.CONFIRM)
        fresh = (joint >= _WORTH_WATCHING) & (joint > held)

        def name(at: Int64) -> UInt8:
            strongest = kinds[:, at].argmax(axis=0)
            found: UInt8 = _NAMES[strongest]
            found[(strongest == _JOINT) & visited[at]] = Reason.VISIT
            found[(strongest == _STUCK) & jumps.at_limit[at]] = Reason.SATURATED
            slow = strongest == _BOTH
            found[slow & recent[at]] = Reason.OFFSET
            found[slow & (ratio > difference)[at]] = Reason.GAIN
            still = (jumps.run[at] >= jumping.CONFIRM) & (x[at] != 0)
            found[slow & still & jumps.at_limit[at]] = Reason.SATURATED
            # What is known of an event by now is more than one sample says.
            before, age = self._memory["reason"][turn.series[at]], sensor[Of.AGE, at]
            known = (age >= _LOOK_STEPS) & _SLOW_FAULT[before]
            known |= (age > 0) & _UNMOVED[before]
            known &= _JUMP_OR_SLOW[found]
            found[known] = before[known]
            return found

        self._report(turn, sensor, scores, kinds.max(axis=0), name)
        self._rename(turn, sensor, jumps, scores)
        if fresh.any():
            jumping.note_jump(sensor, fresh, x, jumps, joint)

    def _rename(self, turn: Round, sensor: Numbers, jumps: jumping.Jumps, scores: Scores) -> None:
        """Name what goes on by all that was seen of it; scores and events stay as they are."""
        ongoing = sensor[Of.ACTIVE] > 0
        settled = ongoing & (sensor[Of.SINCE_JUMP] == jumping.CONFIRM + 1)
        age = sensor[Of.AGE]
        looked = ongoing & (age > 0) & (age % _LOOK_STEPS == 0)
        at = np.flatnonzero(settled | looked)
        if not len(at):
            return
        s, some = turn.series[at], sensor[:, at]
        before = self._memory["reason"][s]
        # A spike comes back at once: what has stayed away is something else.
        stayed = (before == Reason.SPIKE) & settled[at] & (some[Of.JUMP_EVIDENCE] > 0)
        reason = np.where(stayed, Reason.OFFSET, before)
        slow = _SLOW_FAULT[reason]
        named = np.flatnonzero(slow & looked[at])
        if len(named):
            slowly = some[:, named]
            rougher = self._rougher(turn, at[named], slowly)
            reason[named] = name_slow(slowly, rougher, reason[named])
        still = slow & (some[Of.RUN] >= np.where(settled[at], 1.0, some[Of.USUAL_RUN]))
        still &= some[Of.RUN] >= jumping.CONFIRM
        zero = some[Of.LAST_VALUE] == 0
        reason[still] = Reason.STUCK
        reason[slow & (some[Of.RUN] >= jumping.CONFIRM) & jumps.at_limit[at]] = Reason.SATURATED
        reason[still & zero & ~self._kinds["at_rest"][s]] = Reason.DROPOUT
        self._memory["reason"][s] = reason
        scores.reason[turn.place[at]] = reason

    def _rougher(self, turn: Round, at: Int64, sensor: Numbers) -> Numbers:
        """By how much the logarithm of the step height is above its usual, more than at peers."""
        others, there = self._fresh(turn.series[at], turn.time_ms[at], sensor)
        usual = self._numbers[Of.USUAL_ROUGHNESS][others]
        theirs = np.log(self._numbers[Of.ROUGHNESS][others] + 1e-9) - usual
        theirs = np.where(there, theirs, np.float32(np.nan))
        many = np.count_nonzero(there, axis=1)
        middle = np.where(many > 0, beside.median(theirs, many), np.float32(0.0))
        rougher: Numbers = np.log(sensor[Of.ROUGHNESS] + 1e-9)
        rougher -= sensor[Of.USUAL_ROUGHNESS] + middle
        return rougher

    def _together(self, turn: Round, jump: Numbers) -> tuple[Numbers, Bool]:
        """Jumps with what the other metrics of the station add, and whether it is a visit."""
        large = jump > 0.5
        if not large.any():
            return np.zeros_like(jump), large
        station = self._peers.station(turn.series)
        total = np.bincount(station, weights=jump)
        many = np.bincount(station, weights=jump > 1.0)
        there = np.bincount(station)
        visited = (many >= _VISITED) & (2 * many >= there)
        joint = np.where(large, jump + _TOGETHER * (total[station] - jump), 0.0)
        return joint.astype(np.float32), visited[station]

    def _report(
        self,
        turn: Round,
        sensor: Numbers,
        scores: Scores,
        evidence: Numbers,
        name: Callable[[Int64], UInt8],
    ) -> None:
        """Let events begin, go on and end."""
        active, calm = sensor[Of.ACTIVE], sensor[Of.CALM]
        begins = (evidence >= 0.5 * ENOUGH) & (evidence > active)
        calm += 1.0
        calm *= evidence < 0.4 * active
        ongoing = active > 0
        over = calm >= _CALM
        if not begins.any() and not ongoing.any():
            return
        s, place = turn.series, turn.place
        calm[over] = 0.0
        active[over & ~begins] = 0.0
        new = np.flatnonzero(begins)
        active[new] = evidence[new]
        first = np.flatnonzero(begins & ~ongoing)
        sensor[Of.AGE] += 1.0
        sensor[Of.AGE, first] = 0.0
        if len(new):
            self._memory["reason"][s[new]] = name(new)
        since_ms = self._since_ms.of(s, turn.time_ms)
        since_ms[first] = turn.time_ms[first]
        self._since_ms.keep(s, since_ms, active > 0)
        on = np.flatnonzero(active > 0)
        score = np.log10(HOURS_A_MONTH) + EACH_UNIT * (active[on] - ENOUGH)
        scores.score[place[on]] = np.minimum(np.maximum(score, 0.0), HIGHEST_SCORE)
        scores.reason[place[on]] = self._memory["reason"][s[on]]
        scores.since_ms[place[on]] = since_ms[on]
        scores.onset[place[new]] = evidence[new]


def _follow_steps(sensor: Numbers, x: Numbers, step_ms: Numbers) -> Numbers:
    """Follow the interval between samples and the mean height of steps; gives its logarithm."""
    count, interval = sensor[Of.COUNT], sensor[Of.INTERVAL_MS]
    step_ms = np.where(count > 0, step_ms, np.float32(0.0))
    followed = interval + 0.05 * (np.minimum(step_ms, 2.0 * interval) - interval)
    interval[:] = np.where(count < 2, step_ms, followed)
    goes_on = (count > 0) & (step_ms <= 4.0 * interval)
    rough = sensor[Of.ROUGHNESS]
    change = np.where(goes_on, np.abs(x - sensor[Of.LAST_VALUE]), np.float32(0.0))
    # One jump is not a rough stretch: a change counts for at most four times the usual one.
    change = np.where(count > 24, np.minimum(change, 4.0 * rough + 1e-9), change)
    rough += goes_on / np.minimum(count + 1.0, _ROUGHNESS_STEPS) * (change - rough)
    logged: Numbers = np.log(rough + 1e-9)
    return logged


def _follow_usual_roughness(sensor: Numbers, rough: Numbers, old_enough: Bool) -> None:
    """Follow what the logarithm of the mean step height usually is."""
    usual = sensor[Of.USUAL_ROUGHNESS]
    seen = sensor[Of.COUNT] - 2.0 * _ROUGHNESS_STEPS
    rate = old_enough / np.minimum(np.maximum(seen, 1.0), _LONGEST)
    away = rough - usual
    # What is far away once the usual is known counts for as much as a factor of _FAR.
    usual += rate * np.where(seen > pareto_tail.WARM_UP, np.clip(away, -_FAR, _FAR), away)


def _margin(jump_tail: Numbers, able: Bool) -> Numbers:
    """How far from the median a value is enough evidence by itself; NaN while that is not known.

    Where the surprise reaches ENOUGH: log10(1 + SHAPE e) / SHAPE = ENOUGH.
    """
    reach = (10.0 ** (pareto_tail.SHAPE * ENOUGH) - 1.0) / pareto_tail.SHAPE
    over, _ = pareto_tail.mean_excess(jump_tail)
    margin = jump_tail[pareto_tail.HIGH] + reach * over
    found: Numbers = np.where(able, margin, np.float32(np.nan))
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
