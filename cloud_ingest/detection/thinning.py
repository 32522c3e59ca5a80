"""Judges fast series once in a slot of time, and lets the judgement stand in between."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.memory import Column, Memory
from cloud_ingest.detection.protocol import Detector, Scores, State
from cloud_ingest.detection.rounds import usable
from telemetry.batches import SampleBatch
from telemetry.series import Series

_NEVER = -(2**62)
_OWN = "held."
_INNER = "inner."


class ThinnedDetector:
    """Shows another detector the first sample of each slot; the others get what that one got.

    What needs minutes to be seen does not gain from a look each second, and a day of seconds
    costs a day of minutes. Series that are sampled more slowly than the slot are not touched.
    """

    def __init__(self, inner: Detector, slot_ms: int) -> None:
        self._inner = inner
        self._slot_ms = slot_ms
        self._held = Memory(
            {
                "slot": Column(np.int64, _NEVER),
                "last_ms": Column(np.int64, _NEVER),
                "score": Column(np.float64),
                "expected": Column(np.float64, np.nan),
                "low": Column(np.float64, np.nan),
                "high": Column(np.float64, np.nan),
                "reason": Column(np.uint8),
                "since_ms": Column(np.int64, _NEVER),
            }
        )

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        self._inner.register(series)
        if series:
            self._held.make_room(max(s.index for s in series) + 1)

    def update(self, batch: SampleBatch) -> Scores:
        """Judge the first sample of each slot; the rest of the slot holds its judgement."""
        scores = Scores.unjudged(batch)
        place = np.flatnonzero(usable(batch))
        place = place[np.lexsort((batch.time_ms[place], batch.series[place]))]
        place = place[batch.time_ms[place] > self._held["last_ms"][batch.series[place]]]
        if not len(place):
            return scores
        s, t = batch.series[place], batch.time_ms[place]
        slot = t // self._slot_ms
        starts = np.r_[True, s[1:] != s[:-1]]
        repeated = ~starts & np.r_[False, t[1:] == t[:-1]]
        first = np.where(starts, slot > self._held["slot"][s], np.r_[True, slot[1:] != slot[:-1]])
        judged = self._inner.update(batch.select(place[first]))
        # For each sample the newest judgement at or before it: in this batch, or the one held.
        number = np.cumsum(first) - 1
        since_start = np.maximum.accumulate(np.where(starts, np.arange(len(s)), 0))
        own = number >= (np.cumsum(first) - first)[since_start]
        for name in ("score", "expected", "low", "high", "reason", "since_ms"):
            new = getattr(judged, name)
            value = self._held[name][s]
            value[own] = new[number[own]]
            target = getattr(scores, name)
            target[place[~repeated]] = value[~repeated]
            self._held[name][s] = value
        scores.onset[place[first]] = judged.onset
        calm = place[scores.reason[place] == 0]
        scores.since_ms[calm] = batch.time_ms[calm]
        self._held["slot"][s], self._held["last_ms"][s] = slot, t
        return scores

    def state(self) -> State:
        """A copy of everything learnt."""
        return {_OWN + k: v for k, v in self._held.save().items()} | {
            _INNER + k: v for k, v in self._inner.state().items()
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._held.load({k[len(_OWN) :]: v for k, v in state.items() if k.startswith(_OWN)})
        self._inner.restore({k[len(_INNER) :]: v for k, v in state.items() if k.startswith(_INNER)})
