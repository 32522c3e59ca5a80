"""Samples per second of the detectors, compared with plain Python and river."""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.detection.river_scorers import river_rates
from benchmarks.result import Result
from cloud_ingest.detection import (
    Detector,
    EnsembleDetector,
    FaultDetector,
    LayeredDetector,
    SeasonalResidualDetector,
)
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series, SeriesKey

SERIES = 10_000
ROUNDS = 20
WARM = 5
PER_SAMPLE = 100_000
FIRST_PATH_GOAL, ENSEMBLE_GOAL = 1_000_000.0, 50_000.0
STATE_GOAL = 4096.0
MINUTE_MS = 60_000
_QUANTITIES = ("pm2_5", "no2", "o3", "air_temperature", "laeq", "ph", "turbidity", "current")


class PlainScorer:
    """A scorer in plain Python: mean and variance by hour, a z-score for each sample."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[float]] = {}

    def score(self, series: int, time_ms: int, value: float) -> float:
        """The z-score of a value, which is then learnt."""
        cell = self._cells.setdefault((series, time_ms // 3_600_000 % 24), [0.0, 0.0, 0.0])
        count, mean, variance = cell
        z = (value - mean) / math.sqrt(variance + 1e-9) if count > 1 else 0.0
        rate = 1.0 / min(count + 1.0, 500.0)
        delta = value - mean
        cell[0] = count + 1.0
        cell[1] = mean + rate * delta
        cell[2] = (1.0 - rate) * (variance + rate * delta * delta)
        return z


def run() -> list[Result]:
    batches = _batches()
    plain = _per_sample(PlainScorer().score)
    references = [("plain Python per sample", plain), *river_rates(SERIES, PER_SAMPLE).items()]
    first = _rate(SeasonalResidualDetector(), batches)
    layers = 1.0 / (
        1.0 / _rate(EnsembleDetector(), batches) + 1.0 / _rate(FaultDetector(), batches)
    )
    all_layers = _rate(LayeredDetector(), batches)
    name, unit = "detection_speed", "samples/s/core"
    results = [
        Result(name, "first path, 10,000 series", first, unit, "goal", FIRST_PATH_GOAL, 1.0),
        Result(name, "ensemble and faults", layers, unit, "goal", ENSEMBLE_GOAL, 1.0),
        Result(name, "all layers as one", all_layers, unit, "goal", ENSEMBLE_GOAL, 1.0),
    ]
    results += [Result(name, "first path", first, unit, what, rate) for what, rate in references]
    results += [
        Result(
            name,
            f"state of {type(detector).__name__}",
            detector.bytes_per_series,
            "bytes per series",
            "goal",
            STATE_GOAL,
            1.0,
            higher_is_better=False,
        )
        for detector in (
            SeasonalResidualDetector(),
            EnsembleDetector(),
            FaultDetector(),
            LayeredDetector(),
        )
    ]
    return results


def _batches() -> list[SampleBatch]:
    rng = np.random.default_rng(1)
    return [
        SampleBatch.of(
            rng.permutation(SERIES),
            np.full(SERIES, step * MINUTE_MS),
            rng.normal(50.0, 5.0, SERIES),
            np.full(SERIES, Flag.PASS),
        )
        for step in range(WARM + ROUNDS)
    ]


def _rate(detector: Detector, batches: Sequence[SampleBatch]) -> float:
    detector.register(
        [
            Series(
                i,
                SeriesKey(f"g{i // 10}", "d", f"m{i % 10}"),
                "group",
                f"station-{i // 10}",
                _QUANTITIES[i % len(_QUANTITIES)],
                "1",
                MINUTE_MS,
            )
            for i in range(SERIES)
        ]
    )
    for batch in batches[:WARM]:
        detector.update(batch)
    start = time.process_time()
    for batch in batches[WARM:]:
        detector.update(batch)
    return ROUNDS * SERIES / (time.process_time() - start)


def _per_sample(score: Callable[[int, int, float], object]) -> float:
    values = np.random.default_rng(1).normal(50.0, 5.0, PER_SAMPLE).tolist()
    start = time.process_time()
    for number, value in enumerate(values):
        score(number % SERIES, number // SERIES * MINUTE_MS, value)
    return PER_SAMPLE / (time.process_time() - start)


if __name__ == "__main__":
    for result in run():
        print(result)
