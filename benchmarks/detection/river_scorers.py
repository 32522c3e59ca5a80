"""Anomaly scorers of river, sample by sample. River is installed in an environment of its own.

There ``python benchmarks/detection/river_scorers.py SERIES SAMPLES`` prints the name of each scorer
and the samples that it takes per second of processor time.
"""

import random
import subprocess
import sys
import time

_TIMEOUT_S = 60


def river_rates(series: int, samples: int) -> dict[str, float]:
    """Samples a second by scorer; empty where river cannot be installed."""
    from benchmarks.edge.modbus_peers import environment  # noqa: PLC0415  # missing in the environment of river

    programs = environment("river", "river")
    if programs is None:
        return {}
    command = [str(programs / "python"), __file__, str(series), str(samples)]
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    lines = (line.rsplit(" ", 1) for line in out.stdout.splitlines())
    return {f"river {name}": float(rate) for name, rate in lines}


def _measure(series: int, samples: int) -> None:
    # Imported here, because river is installed in its own environment only.
    from river import anomaly  # type: ignore[import-not-found]  # noqa: PLC0415

    draw = random.Random(1)
    values = [draw.gauss(50.0, 5.0) for _ in range(samples)]
    scorers = [anomaly.GaussianScorer() for _ in range(series)]
    for scorer in scorers:
        for value in values[: scorer.grace_period]:  # until then a scorer only learns
            scorer.learn_one(None, value)
    began = time.process_time()
    for i, value in enumerate(values):
        scorer = scorers[i % series]
        scorer.score_one(None, value)
        scorer.learn_one(None, value)
    print("GaussianScorer", samples / (time.process_time() - began))
    trees = anomaly.HalfSpaceTrees(seed=1)
    few = values[: samples // 5]
    began = time.process_time()
    for value in few:
        trees.score_one({"x": value / 100.0})
        trees.learn_one({"x": value / 100.0})
    print("HalfSpaceTrees (one series)", len(few) / (time.process_time() - began))


if __name__ == "__main__":
    _measure(*map(int, sys.argv[1:]))
