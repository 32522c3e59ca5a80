"""The statistical layer on the Numenta Anomaly Benchmark (development files)."""

from benchmarks.detection.scoring.data import DEFAULT_FOLDER
from benchmarks.detection.scoring.measure import measure_nab
from benchmarks.result import Result

GOAL = 75.0
"""Standard score above that of every published detector (ARTime 74.9)."""


def run() -> list[Result]:
    folder = DEFAULT_FOLDER / "nab"
    if not folder.is_dir():
        print(f"bench_nab: skipped, there is no data in {folder}")
        return []
    figures = measure_nab(folder)
    frozen = [
        Result("nab", f"{name}, frozen threshold", score.score, "points", "goal", GOAL, 1.0)
        for name, score in figures.frozen.items()
        if name == "standard"
    ]
    others = [
        Result("nab", f"{name}, frozen threshold", score.score, "points", "perfect", 100.0)
        for name, score in figures.frozen.items()
        if name != "standard"
    ]
    crossed = Result(
        "nab",
        "standard, threshold cross-validated over families",
        figures.held_out["standard"].families,
        "points",
        "hour-of-day residual at its best threshold",
        figures.first_path.score,
        1.0,
    )
    return [*frozen, *others, crossed]


if __name__ == "__main__":
    for result in run():
        print(result)
