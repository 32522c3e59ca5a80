"""From a sample in the pipeline's hands to its notification leaving, with 1,000 gateways.

The edge's poll interval comes before this: a value that changes is read within one interval.
What is measured here is what the cloud adds, with the alert database and the queue on disk.
"""

import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from alert_rules.loading import RuleSet
from alert_rules.rule_kinds import rule_kinds
from benchmarks.result import Result
from cloud_ingest.alerts import AlertService
from cloud_ingest.database import Database
from cloud_ingest.notification import Channel, ChannelConfiguration, NotificationWorker
from cloud_ingest.quality import QualityControl
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey
from telemetry.time.clock import utc_now_ms

GATEWAYS = 1_000
EACH = 10
BATCH_EVERY_S = 0.25
ROUNDS = 40
ALERTS_A_ROUND = 2
ASKED_MS = 1_000.0


class _Bell:
    """A notifier that notes when it was rung, and for whom."""

    def __init__(self) -> None:
        self.rung: dict[str, float] = {}

    def send(self, title: str, body: str, severity: object) -> None:
        """Note the time for each alert in the message."""
        del title, severity
        now = time.perf_counter()
        for line in body.splitlines():
            if " · " in line:
                self.rung.setdefault(line.split(" · ")[1], now)


def run() -> list[Result]:
    """The 99th percentile, beside what is asked."""
    series = [
        Series(g * EACH + m, SeriesKey(f"g{g}", "d", f"m{m}"), "bd", f"s{g}", "pm2_5", "ug/m3", 10_000)
        for g in range(GATEWAYS)
        for m in range(EACH)
    ]  # fmt: skip
    rule = rule_kinds()["threshold"].rule.model_validate(
        {"id": "r", "kind": "threshold", "name": {"vi": "a", "en": "b"}, "above": 100}
    )
    bell = _Bell()
    channel = Channel("bell", ChannelConfiguration(url="json://x", per_minute=600), bell)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder)}/quantrac.db")
        database.migrate()
        service = AlertService(RuleSet((rule,)), database, channels=[channel])
        service.register(series)
        service.start(utc_now_ms())
        worker = NotificationWorker(database, [channel])
        worker.start()
        waited = _measure(service, series, bell)
        worker.stop()
        database.close()
    p99 = float(np.percentile(waited, 99)) * 1000
    what = f"sample to notification, p99 of {len(waited)}, {GATEWAYS} gateways"
    return [Result("alert-latency", what, p99, "ms", "asked for (beyond the poll interval)",
                   ASKED_MS, 1.0, higher_is_better=False)]  # fmt: skip


def _measure(service: AlertService, series: list[Series], bell: _Bell) -> list[float]:
    quality = QualityControl()
    quality.register(series)
    rng = np.random.default_rng(3)
    begun: dict[str, float] = {}
    done = threading.Event()
    index = np.arange(len(series))
    for _ in range(ROUNDS):
        now_ms = utc_now_ms()
        part = index[rng.integers(0, 40) :: 40]  # a fortieth of the fleet reports in 250 ms
        value = rng.normal(50, 5, len(part))
        chosen = rng.choice(len(part), ALERTS_A_ROUND, replace=False)
        value[chosen] = 200.0
        for i in part[chosen]:
            begun.setdefault(str(series[i].key), time.perf_counter())
        batch = SampleBatch.of(part, np.full(len(part), now_ms), value, np.full(len(part), 2))
        service.process(quality.flag(batch, now_ms), now_ms)
        service.tick(now_ms)
        done.wait(BATCH_EVERY_S)
    done.wait(1.5)
    return [bell.rung.get(key, start + 60.0) - start for key, start in begun.items()]


if __name__ == "__main__":
    for result in run():
        print(result.as_json())
