"""From surprise to events: one onset for each event, and how rarely such an onset happens.

A surprise is an *onset* when it is above a level. The level rises by a margin above each onset and
then fades over ``FADE`` working steps, so one event has one onset, and another one only where it
gets much worse. The state counts the onsets of a series and their mean height (peaks over
threshold of separate peaks, with a prior). From these the height of an onset becomes a return
period, the calibrated score.
"""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from telemetry.batches import Bool, Float64, Int64

FADE = 150.0
MARGIN = 1.0
HOLD = 0.1

BASE = 0.5
"""Onsets below this are noise of the method and are not counted."""
PRIOR_ONSETS = 4.0
PRIOR_HOURS = 48.0
PRIOR_EXCESS = 0.6
TAIL = 8.0
LONGEST_H = 24.0 * 120
_QUIET_STEPS = 6.0  # working steps below a third of its peak that end an event

ARRAYS = {
    "level": ArraySpec(np.float32),
    "active": ArraySpec(np.float32),
    "quiet_steps": ArraySpec(np.float32),
    "peak": ArraySpec(np.float32),
    "onsets": ArraySpec(np.float32),
    "hours": ArraySpec(np.float32),
    "excess": ArraySpec(np.float32, PRIOR_EXCESS),
}


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """For each sample: the height of its onset (0 where it is none) and the score of its event."""

    onset: Float64
    began: Bool
    ongoing: Bool
    score: Float64


def find_events(
    state: StateArrays,
    s: Int64,
    surprise: Float64,
    awake: Bool,
    scale: Float64,
    step_h: Float64,
    highest: float,
) -> Events:
    """Find onsets in the surprises of a tick and follow the events.

    ``awake`` marks series that may have an onset, ``scale`` is the number of samples in a working
    step, ``step_h`` the time since the last sample, ``highest`` the highest score.
    """
    level = state["level"][s].astype(np.float64)
    onset = awake & (surprise > level) & (surprise > 0)
    height = np.where(onset, surprise, 0.0)
    faded = level * (1.0 - 1.0 / (FADE * scale))
    # An event that stays as it is has no further onset.
    faded = np.where(state["active"][s] > 0, np.maximum(faded, surprise + HOLD), faded)
    state["level"][s] = np.where(onset, surprise + MARGIN, faded)
    score = _score(state, s, height, onset, np.where(awake, step_h, 0.0), highest)
    return _follow(state, s, surprise, onset, height, score, scale)


def _score(
    state: StateArrays, s: Int64, height: Float64, onset: Bool, step_h: Float64, highest: float
) -> Float64:
    """The score of each onset; the rate and the mean height of onsets are updated."""
    onsets, hours, excess = (
        state[name][s].astype(np.float64) for name in ("onsets", "hours", "excess")
    )
    beyond = np.maximum(height - BASE, 0.0)
    per_hour = (onsets + PRIOR_ONSETS) / (hours + PRIOR_HOURS)
    log_rarer = TAIL * np.log10(1.0 + beyond / (TAIL * excess))
    counted = onset & (height > BASE)
    score = np.where(counted, log_rarer - np.log10(per_hour), 0.0)
    fading = np.minimum(1.0, LONGEST_H / (hours + step_h + 1e-9))
    state["hours"][s] = (hours + step_h) * fading
    state["onsets"][s] = (onsets + counted) * fading
    step = (np.minimum(beyond, 6.0 * excess) - excess) / (onsets + PRIOR_ONSETS + 1.0)
    state["excess"][s] = excess + np.where(counted, step, 0.0)
    clipped: Float64 = np.clip(score, 0.0, highest)
    return clipped


def _follow(
    state: StateArrays,
    s: Int64,
    surprise: Float64,
    onset: Bool,
    height: Float64,
    score: Float64,
    scale: Float64,
) -> Events:
    """Begin, continue and end events.

    An event ends when the surprise has been below a third of its peak for six working steps.
    """
    active = state["active"][s].astype(np.float64)
    quiet = state["quiet_steps"][s].astype(np.float64)
    peak = np.maximum(state["peak"][s] * (active > 0), height)
    quiet = np.where(surprise < peak / 3.0, quiet + 1.0 / scale, 0.0)
    was_active = active > 0
    ended = (quiet > _QUIET_STEPS) & ~onset
    active = np.where(ended, 0.0, np.maximum(active, score))
    state["active"][s], state["quiet_steps"][s] = active, np.where(onset, 0.0, quiet)
    state["peak"][s] = peak
    return Events(height, onset & ~was_active, active > 0, active)
