"""``python -m tests.chaos``: the long run. Exit 0 only if nothing was lost and nothing doubled."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="short faults, as in the test suite")
    parser.add_argument("--keep", type=Path, help="keep files and logs in this (new) folder")
    parser.add_argument("--without", nargs="*", default=[], help="such as step_clock fill_disk")
    parser.add_argument("--store", choices=("embedded", "influxdb"), default="embedded")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="quantrac-chaos-")) if given.keep is None else given.keep
    folder.mkdir(parents=True, exist_ok=True)
    try:
        verdict = run(
            folder, faults=given.faults, seed=given.seed, agents=given.agents,
            long=not given.short, without=given.without, store=given.store, tell=lambda line: print(line, flush=True),
        )  # fmt: skip
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(verdict)
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
