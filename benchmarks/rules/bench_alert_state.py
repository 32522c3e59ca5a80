"""How many bytes a series costs with every rule, test and detector on.

Counted is everything that is allocated: arrays, lists, dictionaries and what is in them. The
descriptions of the series themselves are the registry's and not counted.
"""

import gc
import tracemalloc
from collections.abc import Callable

from benchmarks.result import Result
from benchmarks.rules.alert_rules_field import batches, make_series, twenty_rules
from cloud_ingest.alerts.evaluation.engine import RuleEngine
from cloud_ingest.alerts.evaluation.no_data_watch import NoDataWatch
from cloud_ingest.detection import LayeredDetector
from cloud_ingest.quality import QualityControl
from telemetry.batches import SampleBatch
from telemetry.series import Series

SERIES = 10_000
BATCHES = 10
ASKED = 4_000


def run() -> list[Result]:
    """Bytes a series of each part, and of all together beside what is asked."""
    series, fed = make_series(SERIES), list(batches(SERIES, BATCHES))
    for part in (_quality, _rules, _silence, _detectors):
        part(series[:20], list(batches(20, 2)))  # what is loaded once is no series' memory
    tracemalloc.start()
    try:
        parts = {
            "quality": _grown(lambda: _quality(series, fed)),
            "20 rules": _grown(lambda: _rules(series, fed)),
            "silence": _grown(lambda: _silence(series, fed)),
            "all detectors": _grown(lambda: _detectors(series, fed)),
        }
    finally:
        tracemalloc.stop()
    whole = sum(parts.values())
    results = [
        Result("state", f"memory of a series: {name}", size, "bytes", "all parts", whole,
               higher_is_better=False)
        for name, size in parts.items()
    ]  # fmt: skip
    return [
        *results,
        Result("state", "memory of a series: everything", whole, "bytes", "asked for", ASKED, 1.0,
               higher_is_better=False),
    ]  # fmt: skip


def _grown(work: Callable[[], object]) -> float:
    """Bytes a series that are still allocated afterwards, while the result lives."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    kept = work()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    del kept
    return (after - before) / SERIES


def _quality(series: list[Series], fed: list[SampleBatch]) -> QualityControl:
    quality = QualityControl()
    quality.register(series)
    for batch in fed:
        quality.flag(batch, int(batch.time_ms[-1]))
    return quality


def _rules(series: list[Series], fed: list[SampleBatch]) -> RuleEngine:
    engine = RuleEngine(twenty_rules())
    engine.register(series)
    for batch in fed:
        engine.advance(batch, int(batch.time_ms[-1]))
    return engine


def _silence(series: list[Series], fed: list[SampleBatch]) -> NoDataWatch:
    watch = NoDataWatch(twenty_rules())
    watch.register(series)
    for batch in fed:
        watch.note(batch, int(batch.time_ms[-1]))
    return watch


def _detectors(series: list[Series], fed: list[SampleBatch]) -> LayeredDetector:
    detector = LayeredDetector()
    detector.register(series)
    for batch in fed:
        detector.update(batch)
    return detector


if __name__ == "__main__":
    for result in run():
        print(result.as_json())
