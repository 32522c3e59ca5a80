"""CPU of an edge agent at 500 samples a second, from register through outbox to the broker."""

from benchmarks.edge.edge_gateway import measure_agent
from benchmarks.result import Result

MOST_PERCENT = 10.0


def run() -> list[Result]:
    """Measure 25 devices of 20 registers, read once a second."""
    usage = measure_agent(devices=25, metrics=20, interval="1s", seconds=12, buses=1, warm_s=6.0)
    return [
        Result(
            name="edge_cpu",
            what="CPU at 500 samples/s, as a share of one core",
            value=100 * usage.cpu_s / usage.seconds,
            unit="%",
            reference="allowed",
            reference_value=MOST_PERCENT,
            target=1.0,
            higher_is_better=False,
        )
    ]


if __name__ == "__main__":
    for result in run():
        print(f"{result.what}: {result.value:.1f} {result.unit} ok={result.ok}")
