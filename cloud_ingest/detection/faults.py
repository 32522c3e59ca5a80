"""The fault layer: is this sensor telling the truth."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection import jumps as jumping
from cloud_ingest.detection import peers as beside
from cloud_ingest.detection import tails
from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.protocol import (
    HIGHEST_SCORE,
    HOURS_A_MONTH,
    NEVER,
    Reason,
    Scores,
    State,
)
from cloud_ingest.detection.rounds import Round, rounds_in_time, usable
from telemetry.batches import Bool, Float64, SampleBatch, UInt8
from telemetry.quantities import QUANTITIES
from telemetry.series import Series

SLICE_MS = 60_000
ENOUGH = 5.25
"""Evidence at which a fault is worth one alert a month (calibrated on river sondes)."""
EACH_UNIT = 0.2
"""By how much one unit of evidence more lengthens the return period, in powers of ten."""
ABSENT_CODES = (-9999.0, -999.0, -99.99, -999.9, 9999.9, -32768.0)
_SHARE = 0.1
_LONGEST = 10_000.0
_TOGETHER = 0.1  # how much the jumps of a station's other metrics count
_VISITED = 3
_ROUGHNESS_STEPS = 12.0


class Look(IntEnum):
    """What is judged of each series, in the order of the columns."""

    JUMP = 0
    ROUGH = 1
    DIFFERENCE = 2
    RATIO = 3
    APART = 4


_UPPER_ONLY: Bool = np.array([True, True, False, False, True])


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
        self._series: dict[int, Series] = {}
        self._stations: dict[tuple[str, str], int] = {}
        self._memory = Memory(
            {
                "judged": Column(np.uint8),
                "at_rest": Column(np.uint8),
                "station": Column(np.int32, -1),
                "last_ms": Column(np.int64, NEVER),
                "last_value": Column(np.float64),
                "interval_ms": Column(np.float64),
                "count": Column(np.float64),
                "rough": Column(np.float64),
                "reason": Column(np.uint8),
                "since_ms": Column(np.int64, NEVER),
                "active": Column(np.float64),
                "calm": Column(np.float64),
                "tails": Column(np.float64, 0.0, (tails.FIELDS, len(Look))),
                **jumping.COLUMNS,
                **beside.COLUMNS,
            }
        )

    @property
    def bytes_a_series(self) -> int:
        """Memory that one series takes."""
        return self._memory.bytes_a_row

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series, and find out who stands beside whom."""
        if not series:
            return
        self._memory.make_room(max(s.index for s in series) + 1)
        for one in series:
            self._series[one.index] = one
            station = self._stations.setdefault((one.group, one.station), len(self._stations))
            self._memory["station"][one.index] = station
            known = QUANTITIES.get(one.quantity)
            odd = known is not None and (known.cumulative or known.circular)
            self._memory["judged"][one.index] = not odd
            self._memory["at_rest"][one.index] = one.quantity in RESTING
            if self._memory["count"][one.index] == 0:
                self._memory["tails"][one.index] = tails.start_tails((tails.FIELDS, len(Look)))
        beside.find_peers(self._memory, self._series.values())

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample, then learn from it."""
        scores = Scores.unjudged(batch)
        which = usable(batch) & (self._memory["judged"][batch.series] > 0)
        for turn in rounds_in_time(batch, which, SLICE_MS):
            fresh = turn.time_ms > self._memory["last_ms"][turn.series]
            turn = turn if fresh.all() else turn.select(fresh)  # noqa: PLW2901
            absent = np.isin(turn.value, ABSENT_CODES)
            if absent.any():
                self._tell_absent(turn.select(absent), scores)
                turn = turn.select(~absent)  # noqa: PLW2901
            if len(turn.place):
                self._judge(turn, scores)
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        return self._memory.save()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._memory.load(state)

    def _tell_absent(self, turn: Round, scores: Scores) -> None:
        n = len(turn.place)
        evidence = np.full(n, 2.0 * ENOUGH)
        reason = np.full(n, Reason.DROPOUT, dtype=np.uint8)
        self._report(turn, scores, evidence, reason)
        self._memory["last_ms"][turn.series] = turn.time_ms

    def _judge(self, turn: Round, scores: Scores) -> None:
        memory, s, x = self._memory, turn.series, turn.value
        count = memory["count"][s]
        interval = self._follow_interval(turn, count)
        rough = self._follow_roughness(turn, count, interval)
        memory["last_ms"][s], memory["last_value"][s] = turn.time_ms, x
        memory["count"][s] = count + 1.0
        jumps = jumping.follow_jumps(memory, turn)
        peers = beside.compare(memory, turn, interval)
        value = np.stack(
            [np.abs(jumps.distance), rough, peers.difference, peers.ratio, peers.apart], axis=1
        )
        given = np.stack(
            [jumps.known, count > 2 * _ROUGHNESS_STEPS, peers.known, peers.known, peers.known],
            axis=1,
        )
        before = memory["tails"][s]
        judged, memory["tails"][s] = tails.judge_tails(
            before,
            value,
            given,
            np.ones((len(s), 1)),
            upper_only=_UPPER_ONLY,
            share=_SHARE,
            longest=_LONGEST,
        )
        evidence, reason = self._weigh(turn, np.abs(judged), jumps)
        self._report(turn, scores, evidence, reason)
        self._draw_band(turn, scores, jumps, before)

    def _follow_interval(self, turn: Round, count: Float64) -> Float64:
        memory, s = self._memory, turn.series
        step = np.where(count > 0, turn.time_ms - memory["last_ms"][s], 0).astype(np.float64)
        known = memory["interval_ms"][s]
        followed = known + 0.05 * (np.minimum(step, 2.0 * known) - known)
        interval: Float64 = np.where(count < 2, step, followed)
        memory["interval_ms"][s] = interval
        return interval

    def _follow_roughness(self, turn: Round, count: Float64, interval: Float64) -> Float64:
        memory, s = self._memory, turn.series
        gap = turn.time_ms - memory["last_ms"][s] > 4.0 * interval
        change = np.where((count < 1) | gap, 0.0, np.abs(turn.value - memory["last_value"][s]))
        rate = np.where(gap, 0.0, 1.0 / np.minimum(count + 1.0, _ROUGHNESS_STEPS))
        rough = memory["rough"][s]
        # One jump is not a rough stretch: a change counts for at most four times the usual one.
        change = np.where(count > 24, np.minimum(change, 4.0 * rough + 1e-9), change)
        rough = rough + rate * (change - rough)
        memory["rough"][s] = rough
        logged: Float64 = np.log(rough + 1e-9)
        return logged

    def _weigh(self, turn: Round, judged: Float64, jumps: jumping.Jumps) -> tuple[Float64, UInt8]:
        """The strongest evidence of each sample, and the fault that it speaks for."""
        memory, s = self._memory, turn.series
        base = -np.log10(_SHARE)
        jump = np.where(judged[:, Look.JUMP] > 0, judged[:, Look.JUMP] - base, 0.0)
        together, visited = self._together(turn, jump)
        joint = np.where(jump > 0.5, jump + _TOGETHER * together, 0.0)
        height = memory["jump_evidence"][s]
        back = jumps.returned & (height >= _WORTH_WATCHING)
        spike = np.where(back, _CONFIRMED * height, 0.0)
        memory["jump_evidence"][s] = np.where(back, 0.0, height)
        recent = memory["since_jump"][s] <= 3.0 * beside.DAY_STEPS
        slow = np.maximum(judged[:, Look.DIFFERENCE : Look.APART + 1] - base, 0.0)
        # An event that all stations see adds to all or multiplies all: it leaves the difference
        # or the ratio alone. A fault changes both.
        both = _SLOW_WEIGHT * np.minimum(slow[:, 0], slow[:, 1])
        gain = slow[:, 1] > slow[:, 0]
        unlike = _APART_WEIGHT * np.minimum(slow[:, 2], np.maximum(slow[:, 1], 0.5 * slow[:, 2]))
        stuck = np.where((memory["at_rest"][s] > 0) & (turn.value == 0), 0.0, jumps.stuck)
        silent = jumps.new_zero & ((jump > 1.0) | (jumps.run >= 2))
        kinds = np.stack(
            [
                joint,
                spike,
                stuck,
                np.where(silent, 1.2 * ENOUGH, 0.0),
                np.maximum(judged[:, Look.ROUGH] - base, 0.0) * _ROUGH_WEIGHT,
                both,
                unlike,
            ],
            axis=1,
        )
        # A sensor without signal is also out of everything else; the name is in the zeros.
        kinds[silent, :_SILENT] = 0.0
        kinds[silent, _SILENT + 1 :] = 0.0
        strongest = kinds.argmax(axis=1)
        names = np.stack(
            [
                np.where(visited, Reason.VISIT, Reason.SPIKE),
                np.full(len(s), Reason.SPIKE),
                np.where(jumps.at_limit, Reason.SATURATED, Reason.STUCK),
                np.full(len(s), Reason.DROPOUT),
                np.full(len(s), Reason.ERRATIC),
                np.where(gain, Reason.GAIN, np.where(recent, Reason.OFFSET, Reason.DRIFT)),
                np.full(len(s), Reason.OUT_OF_STEP),
            ],
            axis=1,
        )
        row = np.arange(len(s))
        held = np.where(memory["since_jump"][s] <= jumping.CONFIRM, memory["jump_evidence"][s], 0.0)
        fresh = (joint >= _WORTH_WATCHING) & (joint > held)
        jumping.note_jump(memory, turn, fresh, jumps, joint)
        return kinds[row, strongest], names[row, strongest].astype(np.uint8)

    def _together(self, turn: Round, jump: Float64) -> tuple[Float64, Bool]:
        """What the other metrics of each sample's station jump by in this round."""
        station = self._memory["station"][turn.series]
        total = np.bincount(station, weights=jump)
        many = np.bincount(station, weights=jump > 1.0)
        there = np.bincount(station)
        visited = (many >= _VISITED) & (2 * many >= there)
        return total[station] - jump, visited[station]

    def _report(self, turn: Round, scores: Scores, evidence: Float64, reason: UInt8) -> None:
        memory, s, place = self._memory, turn.series, turn.place
        active, calm, held = memory["active"][s], memory["calm"][s], memory["reason"][s]
        found = evidence >= 0.5 * ENOUGH
        begins = found & (evidence > active)
        worse = begins & (active > 0)
        calm = np.where(evidence < 0.4 * active, calm + 1.0, 0.0)
        over = calm >= _CALM
        active_now = np.where(begins, evidence, np.where(over, 0.0, active))
        memory["active"][s], memory["calm"][s] = active_now, np.where(over, 0.0, calm)
        named = np.where(begins, reason, held) * (active_now > 0)
        since = np.where(begins & ~worse, turn.time_ms, memory["since_ms"][s])
        since = np.where(active_now > 0, since, turn.time_ms)
        memory["reason"][s], memory["since_ms"][s] = named, since
        score = np.log10(HOURS_A_MONTH) + EACH_UNIT * (active_now - ENOUGH)
        scores.score[place] = np.where(active_now > 0, np.clip(score, 0.0, HIGHEST_SCORE), 0.0)
        scores.reason[place], scores.since_ms[place] = named, since
        scores.onset[place] = np.where(begins, evidence, 0.0)

    def _draw_band(
        self, turn: Round, scores: Scores, jumps: jumping.Jumps, before: Float64
    ) -> None:
        tail = before[:, :, Look.JUMP]
        able = jumps.known & (tail[:, tails.OVERS] >= 0)
        # Where the surprise reaches ENOUGH: log10(1 + SHAPE e) / SHAPE = ENOUGH.
        reach = (10.0 ** (tails.SHAPE * ENOUGH) - 1.0) / tails.SHAPE
        margin = tail[:, tails.HIGH] + reach * np.maximum(tail[:, tails.OVER], 0.0)
        place = turn.place
        scores.expected[place] = np.where(able, jumps.expected, np.nan)
        scores.low[place] = np.where(able, jumps.expected - margin, np.nan)
        scores.high[place] = np.where(able, jumps.expected + margin, np.nan)


_CALM = 4
_WORTH_WATCHING = 2.0
_CONFIRMED = 1.25
_SILENT = 3  # the column of a sensor without signal among the kinds
_SLOW_WEIGHT = 2.5
_APART_WEIGHT = 1.5
_ROUGH_WEIGHT = 1.0
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
