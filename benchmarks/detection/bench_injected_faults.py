"""Injected faults found by kind, and alerts on real data without faults."""

import numpy as np

from benchmarks.detection.scoring.data import DEFAULT_FOLDER
from benchmarks.detection.scoring.measure import measure_injected, measure_rates
from benchmarks.result import Result

A_WEEK = 1.0


def run() -> list[Result]:
    if not DEFAULT_FOLDER.is_dir():
        print(f"bench_injected_faults: skipped, there is no data in {DEFAULT_FOLDER}")
        return []
    results = [
        Result(
            "injected_faults",
            f"{rate.name}: statistical alerts at a budget of {rate.budget:g} a month",
            rate.per_week,
            "per sensor-week",
            "goal",
            A_WEEK,
            1.0,
            higher_is_better=False,
        )
        for rate in measure_rates(DEFAULT_FOLDER, (1.0,))
    ]
    figures = measure_injected(DEFAULT_FOLDER / "air_beijing", seeds=(1,))
    for kind in figures.kinds:
        delay = float(np.median(kind.delays_h)) if kind.delays_h else float("nan")
        what = f"{kind.kind}: found (median delay {delay:g} h)"
        results.append(
            Result("injected_faults", what, len(kind.delays_h), "", "injected", kind.injected)
        )
    results.append(
        Result(
            "injected_faults",
            "fault alerts on the same data without faults",
            figures.clean_per_week,
            "per sensor-week",
            "goal",
            A_WEEK,
            1.0,
            higher_is_better=False,
        )
    )
    return results


if __name__ == "__main__":
    for result in run():
        print(result)
