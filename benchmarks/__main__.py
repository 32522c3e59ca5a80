"""``python -m benchmarks``: run the benchmarks, print a table, write build/bench.json."""

import argparse
import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path

import benchmarks
from benchmarks.result import Result

OUTPUT = Path("build/bench.json")


def modules() -> dict[str, str]:
    """The module of each benchmark, by its name without the prefix ``bench_``."""
    found = (m.name for m in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."))
    return {n.rpartition(".bench_")[2]: n for n in sorted(found) if ".bench_" in n}


def names() -> list[str]:
    """The names of the benchmarks, in alphabetical order."""
    return sorted(modules())


def measure(name: str) -> list[Result]:
    """Run one benchmark."""
    results: list[Result] = importlib.import_module(modules()[name]).run()
    return results


def show(results: list[Result]) -> None:
    """Print results as a table: ours, the reference, their ratio, the target."""
    for r in results:
        target = "" if r.target is None else f"{'>=' if r.higher_is_better else '<='} {r.target:g}"
        verdict = "" if r.target is None else ("ok" if r.ok else "MISSED")
        print(f"{r.name:<28} {r.what}")
        print(
            f"{'':<28} {r.value:,.4g} {r.unit}  |  {r.reference}: {r.reference_value:,.4g}"
            f"  |  ratio {r.ratio:.3g}  {target} {verdict}"
        )


def main() -> int:
    """Run all benchmarks, or one; 0 if every target was met, 1 if not, 2 for a wrong name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"one of: {', '.join(names())}")
    only = parser.parse_args().only
    if only and only not in names():
        print(f"no benchmark {only!r}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    results: list[Result] = []
    failed: list[str] = []
    for name in [only] if only else names():
        started = time.monotonic()
        print(f"-- {name} ...", flush=True)
        try:
            measured = measure(name)
        except Exception as error:  # one that cannot run must not hide the others' figures
            failed.append(name)
            print(f"{name} could not run: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        show(measured)
        print(f"   ({time.monotonic() - started:.0f} s)")
        results.extend(measured)
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(json.dumps([r.as_json() for r in results], indent=1) + "\n")
    missed = [r.name for r in results if not r.ok]
    print(
        f"{len(results)} figures, {len(missed)} below target{': ' if missed else ''}{', '.join(missed)}"
    )
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
