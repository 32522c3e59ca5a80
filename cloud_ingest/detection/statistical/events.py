"""From surprise to events: one onset for each event, and how rarely its like happens.

A surprise becomes an *onset* when it exceeds what is left of the last one: a level that starts a
margin above the last onset and fades over ``FADE`` working steps, so that one event is told once
and again only where it gets much worse. How often a series has onsets, and how far they go, is
remembered (peaks over threshold of de-clustered peaks, shrunk towards a prior), which turns the
height of an onset into a return period: the calibrated score.
"""

from dataclasses import dataclass

import numpy as np

from cloud_ingest.detection.state_arrays import ArraySpec, StateArrays
from telemetry.batches import Bool, Float64, Int64

FADE = 150.0
MARGIN = 1.0
HOLD = 0.1

BASE = 0.5
"""Onsets below this are not counted: they are the noise of the method."""
PRIOR_ONSETS = 4.0
PRIOR_HOURS = 48.0
PRIOR_EXCESS = 0.6
TAIL = 8.0
LONGEST_H = 24.0 * 120

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
    """For each sample: the height of the onset that it is (else 0), and the event's score."""

    onset: Float64
    began: Bool
    ongoing: Bool
    score: Float64


def find_events(
    memory: StateArrays,
    s: Int64,
    surprise: Float64,
    awake: Bool,
    scale: Float64,
    step_h: Float64,
    highest: float,
) -> Events:
    """Judge this round's surprises; ``awake`` marks series that are past their warm-up."""
    level = memory["level"][s].astype(np.float64)
    onset = awake & (surprise > level) & (surprise > 0)
    height = np.where(onset, surprise, 0.0)
    faded = level * (1.0 - 1.0 / (FADE * scale))
    # What goes on as it is does not begin again.
    faded = np.where(memory["active"][s] > 0, np.maximum(faded, surprise + HOLD), faded)
    memory["level"][s] = np.where(onset, surprise + MARGIN, faded)
    score = _score(memory, s, height, onset, np.where(awake, step_h, 0.0), highest)
    return _follow(memory, s, surprise, onset, height, score, scale)


def _score(
    memory: StateArrays, s: Int64, height: Float64, onset: Bool, step_h: Float64, highest: float
) -> Float64:
    onsets, hours, excess = (
        memory[name][s].astype(np.float64) for name in ("onsets", "hours", "excess")
    )
    beyond = np.maximum(height - BASE, 0.0)
    a_hour = (onsets + PRIOR_ONSETS) / (hours + PRIOR_HOURS)
    log_rarer = TAIL * np.log10(1.0 + beyond / (TAIL * excess))
    score = np.where(onset & (height > BASE), log_rarer - np.log10(a_hour), 0.0)
    counted = onset & (height > BASE)
    fading = np.minimum(1.0, LONGEST_H / (hours + step_h + 1e-9))
    memory["hours"][s] = (hours + step_h) * fading
    memory["onsets"][s] = (onsets + counted) * fading
    step = (np.minimum(beyond, 6.0 * excess) - excess) / (onsets + PRIOR_ONSETS + 1.0)
    memory["excess"][s] = excess + np.where(counted, step, 0.0)
    clipped: Float64 = np.clip(score, 0.0, highest)
    return clipped


def _follow(
    memory: StateArrays,
    s: Int64,
    surprise: Float64,
    onset: Bool,
    height: Float64,
    score: Float64,
    scale: Float64,
) -> Events:
    # An event lasts until the surprise has been below a third of its height for an hour or so.
    active = memory["active"][s].astype(np.float64)
    quiet = memory["quiet_steps"][s].astype(np.float64)
    peak = np.maximum(memory["peak"][s] * (active > 0), height)
    low = surprise < peak / 3.0
    quiet = np.where(low, quiet + 1.0 / scale, 0.0)
    ended = quiet > 6.0
    was = active > 0
    active = np.where(ended & ~onset, 0.0, np.maximum(active, score))
    memory["active"][s], memory["quiet_steps"][s] = active, np.where(onset, 0.0, quiet)
    memory["peak"][s] = peak
    return Events(height, onset & ~was, active > 0, active)
