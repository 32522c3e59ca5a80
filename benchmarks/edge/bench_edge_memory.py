"""Resident memory of an edge agent with 30 devices and 510 metrics, read once a second."""

from benchmarks.edge.edge_gateway import measure_agent
from benchmarks.result import Result

MOST_MB = 60.0


def run() -> list[Result]:
    """Measure a settled agent at its highest."""
    usage = measure_agent(devices=30, metrics=17, interval="1s", seconds=10, buses=3, warm_s=6.0)
    return [
        Result(
            name="edge_memory",
            what="resident memory of an agent with 30 devices and 510 metrics at 1 s",
            value=usage.rss_mb,
            unit="MB",
            reference="allowed",
            reference_value=MOST_MB,
            target=1.0,
            higher_is_better=False,
        )
    ]


if __name__ == "__main__":
    for result in run():
        print(f"{result.what}: {result.value:.1f} {result.unit} ok={result.ok}")
