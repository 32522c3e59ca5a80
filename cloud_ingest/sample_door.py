"""The one door through which samples enter the store.

Every sample passes the same steps in the same order:

    bounds -> quality -> store -> rules -> ledger

Units are converted earlier, when a payload is decoded (``intake/unit_conversion.py``). Sparkplug
reports, mapped messages, replayed samples and derived series (indices, clock offsets) all come
through here. Two ways still bypass it: imports, which write into the store's inbox
(``transfer/importing.py``), and restores (``transfer/backup.py``).

A crash between two steps leads to the same samples again. Passing them again changes nothing: the
store overwrites by (series, time), alerts are keyed by rule, series and start, and the ledger knows
the numbers of stored reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import structlog

from cloud_ingest.alerts.model import AlertEvent
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.ledger.account import Gap
from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.work import Work
from cloud_ingest.partition import Partition
from cloud_ingest.pipeline_dependencies import PipelineDependencies
from cloud_ingest.retry import Retry, Stopped
from cloud_ingest.state_commit import StateCommit
from cloud_ingest.stores.protocol import StoreRejected
from telemetry.batches import Bool, SampleBatch, is_too_far_ahead

_log = structlog.get_logger()

EARLIEST_PLAUSIBLE_MS = 946_684_800_000  # 2000-01-01: no gateway of ours measured before


@dataclass(frozen=True, slots=True)
class Passed:
    """What passed the door: the samples within bounds, the alerts they changed, new ledger gaps."""

    samples: SampleBatch
    alert_events: Sequence[AlertEvent]
    gaps: Sequence[Gap]


class SampleDoor:
    """Takes the work of a receiver through all steps. Only the pipeline's thread calls it."""

    def __init__(
        self,
        shared: PipelineDependencies,
        limits: IntakeConfiguration,
        retry: Retry,
        state: StateCommit,
    ) -> None:
        self._shared = shared
        self._limits = limits
        self._retry = retry
        self._state = state

    def pass_through(self, partition: Partition, work: Work, now_ms: int) -> Passed:
        """Store the samples of ``work``, evaluate the rules and enter the reports in the ledger.

        The ledger is not saved here: the caller saves it and acknowledges afterwards.
        """
        samples = self._within_bounds(work, now_ms)
        self._register_new_series(partition)
        if len(samples):
            samples = partition.quality.flag(samples, now_ms)
            corrected = partition.quality.take_corrections()
            self._store(SampleBatch.concat([samples, corrected]), work, now_ms)
        for t in work.presence_changes:
            partition.alerts.set_online(t.gateway, t.device, t.online, t.time_ms)
        for item in work.quarantined:
            self._shared.quarantine.put(item)
        self._shared.quarantine.note_replayed(work.replayed)
        alert_events: Sequence[AlertEvent] = ()
        if len(samples):
            alert_events = self.evaluate(lambda: partition.alerts.process(samples, now_ms))
        gaps = partition.ledger.apply(work.entries, now_ms)
        return Passed(samples, alert_events, gaps)

    def evaluate(self, rules: Callable[[], Sequence[AlertEvent]]) -> Sequence[AlertEvent]:
        """Run the rules. A defect in a rule must not keep samples from being stored."""
        try:
            return self._retry.until_done(rules, "database")
        except Stopped:
            raise
        except Exception:  # noqa: BLE001  # logged with its traceback, counted, shown by /health
            self._shared.counters.rule_failures += 1
            _log.exception("rules_failed")
            return ()

    def _within_bounds(self, work: Work, now_ms: int) -> SampleBatch:
        """The samples with a plausible time, sorted; all others go into quarantine.

        Sorting once here serves quality control, the rules and the store.
        """
        batch = work.samples.take().sorted()
        if not len(batch):
            return batch
        early = batch.time_ms < EARLIEST_PLAUSIBLE_MS
        late = is_too_far_ahead(batch.time_ms, now_ms, int(self._limits.max_future_s * 1000))
        for which, reason in ((early, "time before 2000"), (late, "time in the future")):
            if which.any():
                work.quarantined.extend(self._quarantined(batch, which, reason, now_ms))
        wrong = early | late
        return batch.select(~wrong) if wrong.any() else batch

    def _register_new_series(self, partition: Partition) -> None:
        # The inventory announces a series once, for all partitions together: several partitions
        # will need announcements per partition.
        changed = self._shared.inventory.take_announced()
        if not changed:
            return
        # A series keeps its index for ever: it is in the database before its first sample.
        self._retry.until_done(self._state.write, "database")
        self._retry.until_done(lambda: self._shared.store.register(changed), "store")
        partition.quality.register(changed)
        partition.alerts.register(changed)

    def _store(self, batch: SampleBatch, work: Work, now_ms: int) -> None:
        """Write a batch; samples that the store rejects go into quarantine."""

        def write() -> StoreRejected | None:
            try:
                self._shared.store.write(batch)
            except StoreRejected as rejected:
                return rejected
            return None

        rejection = self._retry.until_done(write, "store")
        if rejection is None:
            return
        rejected = rejection.rejected
        self._shared.counters.rejected += len(rejected)
        reason = rejection.reasons[0] if rejection.reasons else "refused"
        every = np.ones(len(rejected), dtype=np.bool_)
        work.quarantined.extend(self._quarantined(rejected, every, f"store: {reason}", now_ms))

    def _quarantined(
        self, batch: SampleBatch, which: Bool, reason: str, now_ms: int
    ) -> list[Quarantined]:
        """One quarantine row a gateway with the chosen samples as JSON."""
        by_gateway: dict[str, list[dict[str, Any]]] = {}
        part = batch.select(which)
        for i, t, v, q in zip(
            part.series.tolist(), part.time_ms.tolist(), part.value.tolist(),
            part.quality.tolist(), strict=True,
        ):  # fmt: skip
            key = self._shared.inventory.series_at(i).key
            by_gateway.setdefault(key.gateway, []).append(
                {"series": str(key), "time_ms": t, "value": v, "quality": q}
            )
        return [
            Quarantined(now_ms, "", gateway, reason, orjson.dumps(samples), "samples", len(samples))
            for gateway, samples in by_gateway.items()
        ]
