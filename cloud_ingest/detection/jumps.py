"""Jumps of a series away from its last few values, what became of them, and stuck values."""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.rounds import Round
from telemetry.batches import Bool, Float64

LAST = 5
"""Values whose median a new one is compared with."""
CONFIRM = 4
"""Samples within which a spike comes back; a step has stayed away for longer."""
RETURNED = 0.4  # of the jump's height
MANY_REPEATS = 3.0  # times the longest usual run
_LEAST_RUN = 6.0

COLUMNS = {
    "ring": Column(np.float64, np.nan, (LAST,)),
    "jump_from": Column(np.float64),
    "jump_height": Column(np.float64),
    "jump_evidence": Column(np.float64),
    "since_jump": Column(np.float64, 1e9),
    "run": Column(np.float64),
    "repeats": Column(np.float64),
    "steps": Column(np.float64),
    "usual_run": Column(np.float64, 1.0),
    "resolution": Column(np.float64),
    "highest": Column(np.float64, -np.inf),
    "lowest": Column(np.float64, np.inf),
    "zeros": Column(np.float64),
}


@dataclass(frozen=True, slots=True, eq=False)
class Jumps:
    """For each sample of a round: its distance from the median of the last few values."""

    distance: Float64
    known: Bool
    expected: Float64
    returned: Bool
    stuck: Float64
    at_limit: Bool
    new_zero: Bool
    run: Float64


def follow_jumps(memory: Memory, turn: Round) -> Jumps:
    """Measure this round's samples against the last few, and remember them."""
    s, x = turn.series, turn.value
    ring = memory["ring"][s]
    known = ~np.isnan(ring).any(axis=1)
    median = np.sort(ring, axis=1)[:, LAST // 2]
    distance = np.where(known, x - median, 0.0)
    height, origin = memory["jump_height"][s], memory["jump_from"][s]
    since = memory["since_jump"][s] + 1.0
    returned = (since <= CONFIRM) & (np.abs(x - origin) < RETURNED * np.abs(height))
    memory["since_jump"][s] = since
    last = ring[:, -1]
    stuck, at_limit = _follow_run(memory, turn, last)
    zeros, steps = memory["zeros"][s], memory["steps"][s]
    new_zero = (x == 0) & (steps > 300) & (zeros < 0.002 * steps) & (memory["lowest"][s] >= 0)
    memory["zeros"][s] = zeros + (x == 0)
    memory["ring"][s] = np.concatenate([ring[:, 1:], x[:, None]], axis=1)
    expected = np.where(known, median, np.nan)
    return Jumps(distance, known, expected, returned, stuck, at_limit, new_zero, memory["run"][s])


def note_jump(memory: Memory, turn: Round, which: Bool, jumps: Jumps, evidence: Float64) -> None:
    """Remember where these jumps started, to see whether they come back."""
    s = turn.series[which]
    memory["jump_evidence"][s] = evidence[which]
    memory["jump_from"][s] = turn.value[which] - jumps.distance[which]
    memory["jump_height"][s] = jumps.distance[which]
    memory["since_jump"][s] = 0.0


def _follow_run(memory: Memory, turn: Round, last: Float64) -> tuple[Float64, Bool]:
    """Evidence that a value is stuck (5: enough to alert), and whether it is at an extreme.

    Two things must hold: the run of equal values is several times longer than the series'
    usual longest run (a quiet sensor, or a coarse one, repeats itself), and so long a run is
    improbable at the rate at which the series repeats its value.
    """
    s, x = turn.series, turn.value
    same = x == last
    run, usual = memory["run"][s], memory["usual_run"][s]
    repeats, steps = memory["repeats"][s], memory["steps"][s]
    ended = ~same & (run > 0)
    # The usual longest run: up at once (to at most twice of itself), down slowly.
    grown = np.minimum(run, 2.0 * usual + 4.0)
    usual = np.where(ended, np.maximum(grown, usual + (run - usual) * 0.002), usual)
    run = np.where(same, run + 1.0, 0.0)
    fading = np.minimum(1.0, 20_000.0 / (steps + 1.0))
    # A long run counts once in the rate of repeats, or a stuck sensor would seem a quiet one.
    counted = same & (run <= MANY_REPEATS * usual + _LEAST_RUN)
    memory["repeats"][s] = (repeats + counted) * fading
    memory["steps"][s] = (steps + (counted | ~same)) * fading
    memory["run"][s], memory["usual_run"][s] = run, usual
    rate = (repeats + 1.0) / (steps + 2.0)
    surprise = -run * np.log10(rate)
    longer = run / (MANY_REPEATS * usual + _LEAST_RUN)
    able = (steps > 100) & (longer >= 1.0)
    evidence = np.where(able, np.minimum(surprise, 5.0 * longer), 0.0)
    highest, lowest = memory["highest"][s], memory["lowest"][s]
    at_limit = same & ((x >= highest) | (x <= lowest))
    memory["highest"][s] = np.maximum(highest, x)
    memory["lowest"][s] = np.minimum(lowest, x)
    return evidence, at_limit
