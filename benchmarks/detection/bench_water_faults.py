"""The fault layer against technicians' labels on river sondes."""

from benchmarks.detection.scoring.data import DEFAULT_FOLDER
from benchmarks.detection.scoring.measure import measure_water
from benchmarks.result import Result

F1_GOAL, FALSE_GOAL = 0.65, 0.10


def run() -> list[Result]:
    folder = DEFAULT_FOLDER / "water_lro"
    if not folder.is_dir():
        print(f"bench_water_faults: skipped, there is no data in {folder}")
        return []
    figures = measure_water(folder)
    ours, simple = figures.all, figures.simple
    rule = "20 mean deviations from a running median"
    return [
        Result("water_faults", "event F1", ours.f1, "", "goal", F1_GOAL, 1.0),
        Result(
            "water_faults",
            "false alarms",
            ours.false_per_week,
            "per sensor-week",
            "goal",
            FALSE_GOAL,
            1.0,
            higher_is_better=False,
        ),
        Result(
            "water_faults",
            "event F1, sites at the threshold of the others",
            figures.held_out.f1,
            "",
            "goal",
            F1_GOAL,
            1.0,
        ),
        Result("water_faults", "event F1", ours.f1, "", rule, simple.f1, 1.0),
        Result(
            "water_faults",
            "false alarms",
            ours.false_per_week,
            "per sensor-week",
            rule,
            simple.false_per_week,
            1.0,
            higher_is_better=False,
        ),
    ]


if __name__ == "__main__":
    for result in run():
        print(result)
