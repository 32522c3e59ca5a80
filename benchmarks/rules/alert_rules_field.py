"""A field of series, twenty rules over it, and what others do with the same samples."""

import math
from collections.abc import Iterator

import numpy as np

from alert_rules.rule import Rule
from alert_rules.rule_kinds import rule_kinds
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

T0 = 1_795_000_000_000
EVERY_MS = 10_000
QUANTITIES = (
    "pm2_5", "pm10", "so2", "no2", "o3", "co", "air_temperature", "relative_humidity", "wind_speed",
    "laeq", "ph", "dissolved_oxygen", "turbidity", "conductivity", "cod", "vehicle_flow",
    "vehicle_speed", "occupancy", "battery_voltage", "cabinet_temperature",
)  # fmt: skip


def make_series(n: int) -> list[Series]:
    """Stations with one gateway of twenty series each."""
    return [
        Series(
            i, SeriesKey(f"g{i // 20}", f"d{i % 20 // 5}", QUANTITIES[i % 20]), "bd",
            f"s{i // 20}", QUANTITIES[i % 20], "ug/m3", EVERY_MS, (-50.0, 1000.0),
        )
        for i in range(n)
    ]  # fmt: skip


def twenty_rules() -> list[Rule]:
    """Twenty rules of seven kinds, each over every series."""
    given: list[tuple[str, dict[str, object]]] = [
        *(("threshold", {"above": 110 + i, "clear": 100, "hold": "5m"}) for i in range(6)),
        ("threshold", {"above": 120, "levels": [{"severity": "critical", "above": 150}]}),
        ("threshold", {"below": -20, "clear": -10}),
        ("threshold", {"outside": [-30, 130], "clear": 5}),
        ("mean", {"window": "1h", "above": 90}),
        ("mean", {"window": "1h", "above": 100}),
        ("mean", {"window": "8h", "step": "1h", "above": 90}),
        ("mean", {"window": "24h", "step": "1h", "aligned": True, "above": 90}),
        ("rate", {"above": 100_000}),
        ("rate", {"above": 3_000, "over": "1m"}),
        ("flat_line", {"window": "6h"}),
        ("count", {"above": 90, "count": 3}),
        ("anomaly", {"alerts_per_month": 1}),
        ("anomaly", {"alerts_per_month": 0.2, "direction": "above"}),
        ("no_data", {"intervals": 5}),
    ]
    return [
        rule_kinds()[kind].rule.model_validate(
            {"id": f"r{i}", "kind": kind, "name": {"vi": "a", "en": "b"}} | fields
        )
        for i, (kind, fields) in enumerate(given)
    ]


def batches(n_series: int, count: int) -> Iterator[SampleBatch]:
    """One sample of every series a batch; now and then one is far off."""
    rng = np.random.default_rng(5)
    level = rng.normal(50, 8, n_series)
    for k in range(count):
        value = level + 5 * math.sin(k / 20) + rng.normal(0, 3, n_series)
        value[rng.integers(0, n_series)] = 125.0
        time_ms = T0 + k * EVERY_MS + np.arange(n_series) % 1000
        yield SampleBatch.of(np.arange(n_series), time_ms, value, np.full(n_series, 2))


class PlainLoop:
    """Range, spike, twenty thresholds with hold times: one sample after the other."""

    def __init__(self) -> None:
        self.before: dict[int, tuple[float, float]] = {}
        self.since: dict[tuple[int, int], int] = {}
        self.firing: set[tuple[int, int]] = set()

    def take(self, batch: SampleBatch) -> int:
        """Judge a batch; gives how many changes there were."""
        changes = 0
        rows = zip(batch.series.tolist(), batch.time_ms.tolist(), batch.value.tolist(), strict=True)
        for series, time_ms, value in rows:
            if not -50 <= value <= 1000:
                continue
            last, before = self.before.get(series, (value, value))
            spike = min(abs(value - last), abs(last - before)) > 200
            self.before[series] = (value, last)
            for rule in range(20):
                key = (series, rule)
                if value > 110 + rule and not spike:
                    since = self.since.setdefault(key, time_ms)
                    if time_ms - since >= 300_000 and key not in self.firing:
                        self.firing.add(key)
                        changes += 1
                elif key in self.since:
                    del self.since[key]
                    self.firing.discard(key)
        return changes
