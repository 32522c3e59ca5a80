"""``python -m benchmarks.detection.scoring``: measure the detectors on public data sets.

Runs every benchmark whose data is present and writes a report with plots. Exit code 0: the report
was written, 1: the folder holds no known data set, 2: bad usage.

Example: python -m benchmarks.detection.scoring --data ../shared/data/anomaly
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.detection.scoring.data import DEFAULT_FOLDER
from benchmarks.detection.scoring.report import evaluate_all

DATA_SETS = "nab, water_lro, air_beijing, traffic_i94"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection.scoring",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, default=DEFAULT_FOLDER, help=f"folder that holds {DATA_SETS}"
    )
    parser.add_argument(
        "--report", type=Path, default=Path("build/detection"), help="folder for the report"
    )
    parser.add_argument(
        "--plots",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw a picture of each benchmark file",
    )
    given = parser.parse_args(arguments)
    if not given.data.is_dir():
        parser.error(f"--data: there is no folder {given.data}; it must hold {DATA_SETS}")
    written = evaluate_all(given.data, given.report, plots=given.plots, say=print)
    if written is None:
        print(f"--data: {given.data} holds none of {DATA_SETS}", file=sys.stderr)
        return 1
    print(f"report: {written}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
