"""All layers as one detector: what the rules of the kind ``anomaly`` run on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud_ingest.detection.ensemble import EnsembleDetector
from cloud_ingest.detection.faults import FaultDetector
from cloud_ingest.detection.protocol import Detector, Scores, State, threshold_for_budget
from cloud_ingest.detection.seasonal import SeasonalResidualDetector
from cloud_ingest.detection.thinning import ThinnedDetector
from telemetry.batches import SampleBatch
from telemetry.series import Series

FIRST_PATH_SLOT_MS = 5_000
FAULT_SLOT_MS = 10_000
STATISTICAL_SLOT_MS = 60_000
IN_DOUBT = threshold_for_budget(4.0)
"""From this fault score on, a sample speaks of its sensor and not of the world."""


class LayeredDetector:
    """The statistical and the fault layer side by side, with a first path until they have learnt.

    Until the ensemble knows a series (about a hundred samples, or eight hours where sampling is
    faster than every five minutes) the residual from the hour of the day stands in for it. A
    sample whose sensor is in doubt carries the fault; any other one the statistical judgement.
    """

    def __init__(self, *, utc_offset_h: float = 7.0, warm_up_samples: int = 24) -> None:
        first = SeasonalResidualDetector(utc_offset_h=utc_offset_h, warm_up_samples=warm_up_samples)
        self._parts: dict[str, Detector] = {
            "first": ThinnedDetector(first, FIRST_PATH_SLOT_MS),
            "statistical": ThinnedDetector(
                EnsembleDetector(utc_offset_h=utc_offset_h), STATISTICAL_SLOT_MS
            ),
            "fault": ThinnedDetector(FaultDetector(), FAULT_SLOT_MS),
        }

    def register(self, series: Sequence[Series]) -> None:
        """Make room for these series."""
        for part in self._parts.values():
            part.register(series)

    def update(self, batch: SampleBatch) -> Scores:
        """Judge each sample by every layer, then learn from it."""
        first, statistical, fault = (part.update(batch) for part in self._parts.values())
        knows = np.isfinite(statistical.expected)
        doubted = fault.score >= IN_DOUBT

        def pick(name: str) -> NDArray[Any]:
            world = np.where(knows, getattr(statistical, name), getattr(first, name))
            chosen: NDArray[Any] = np.where(doubted, getattr(fault, name), world)
            return chosen

        return Scores(
            pick("score"),
            pick("expected"),
            pick("low"),
            pick("high"),
            pick("reason"),
            pick("since_ms"),
            pick("onset"),
        )

    def state(self) -> State:
        """A copy of everything learnt."""
        return {
            f"{name}.{key}": value
            for name, part in self._parts.items()
            for key, value in part.state().items()
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        for name, part in self._parts.items():
            prefix = f"{name}."
            part.restore(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )
