"""The start after an earlier process: adopts its open alerts and reads the samples stored since."""

from collections.abc import Iterator

from cloud_ingest.alerts.evaluation.engine import RuleEngine
from cloud_ingest.alerts.model import Alert, AlertState
from cloud_ingest.stores.protocol import SampleStore
from telemetry.batches import SampleBatch

SAMPLES_A_BATCH = 200_000
_NEW_SERIES_MS = 3_600_000
"""A series that is new since the checkpoint is evaluated from this long before the checkpoint."""


def adopt(engine: RuleEngine, open_alerts: list[Alert]) -> list[Alert]:
    """Let the rules' memory agree with the open alerts. Returns those that no rule watches any more."""
    orphans: list[Alert] = []
    by_key = {str(s.key): s for s in engine.known_series}
    for alert in open_alerts:
        rule_state, series = engine.state_of(alert.rule), by_key.get(alert.subject)
        row = rule_state.evaluator.index.row_of(series.index) if rule_state and series else -1
        if rule_state is None or (series is not None and row < 0):
            orphans.append(alert)
            continue
        is_firing = row < 0 or rule_state.hold_time.is_firing(row)
        if series is not None and alert.state is not AlertState.PENDING and not is_firing:
            last_ms = max(int(engine.last_ms[series.index]), alert.start_ms)
            rule_state.hold_time.adopt(row, alert.start_ms, last_ms, 1, firing=True)
    engine.resume_composites()
    return orphans


def stored_since(
    engine: RuleEngine, store: SampleStore | None, saved_ms: int | None
) -> Iterator[SampleBatch]:
    """The samples stored after the checkpoint of ``saved_ms``; none without a checkpoint."""
    if store is None or saved_ms is None:
        return
    newest = store.latest(engine.known_series)
    behind = newest.select(newest.time_ms > engine.last_ms[newest.series])
    parts: list[SampleBatch] = []
    size = 0
    for index, until_ms in zip(behind.series.tolist(), behind.time_ms.tolist(), strict=True):
        from_ms = int(engine.last_ms[index]) or saved_ms - _NEW_SERIES_MS
        found = store.read(engine.series(index), from_ms + 1, until_ms + 1)
        parts.append(
            SampleBatch.of([index] * len(found.time_ms), found.time_ms, found.value, found.quality)
        )
        size += len(parts[-1])
        if size >= SAMPLES_A_BATCH:
            yield SampleBatch.concat(parts)
            parts, size = [], 0
    if parts:
        yield SampleBatch.concat(parts)
