"""What the tests of alerts share: a store in memory, a field of series, a service."""

import numpy as np
import sqlalchemy as sa

from alert_rules.loading import RuleSet
from alert_rules.rule_kinds import rule_kinds
from cloud_ingest.alerts import AlertService, tables
from cloud_ingest.stores.protocol import SampleColumns
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

T0 = 1_795_000_000_000
NAME = {"vi": "Thử", "en": "Test"}


def rule(kind="threshold", **fields):
    """A rule of the pack ``test``."""
    values = {"id": "r", "kind": kind, "name": NAME, "pack": "test"} | fields
    found = rule_kinds()[kind].rule.model_validate(values)
    assert list(found.validation_errors()) == []
    return found


def series(index, device="d", metric="pm2_5", gateway="g", tags=(), station="s"):
    return Series(
        index, SeriesKey(gateway, device, metric), "bd", station, metric, "ug/m3", 1000, tags=tags
    )


class MemoryStore:
    """Samples by series and time, as a store keeps them."""

    def __init__(self):
        self.samples = {}

    def write(self, batch):
        for s, t, v, q in zip(
            batch.series.tolist(), batch.time_ms.tolist(), batch.value.tolist(),
            batch.quality.tolist(), strict=True,
        ):  # fmt: skip
            self.samples.setdefault(s, {})[t] = (v, q)

    def latest(self, wanted):
        rows = [
            (s.index, t, *self.samples[s.index][t])
            for s in wanted
            if self.samples.get(s.index)
            for t in [max(self.samples[s.index])]
        ]
        return SampleBatch.of(*zip(*rows, strict=True)) if rows else SampleBatch.empty()

    def read(self, one, start_ms, end_ms, step_ms=None, aggregate="mean"):
        rows = sorted(
            (t, *vq) for t, vq in self.samples.get(one.index, {}).items() if start_ms <= t < end_ms
        )
        if step_ms is not None:
            assert aggregate == "last"
            rows = list({t // step_ms: (t // step_ms * step_ms, v, q) for t, v, q in rows}.values())
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        return SampleColumns(
            np.array(columns[0], np.int64),
            np.array(columns[1], np.float64),
            np.array(columns[2], np.uint8),
        )

    def read_many(self, wanted, *args, **more):
        return [self.read(one, *args, **more) for one in wanted]


def batch_of(rows):
    """A batch from (series, time, value) rows."""
    if not rows:
        return SampleBatch.empty()
    return SampleBatch.of(*zip(*rows, strict=True), [1] * len(rows))


ONE = (series(0),)


def service_of(database, rules, store=None, known=ONE, now_ms=T0, **more):
    found = AlertService(RuleSet(tuple(rules)), database, store=store, **more)
    found.register(list(known))
    found.start(now_ms)
    return found


def wipe(database):
    with database.engine.begin() as connection:
        for table in (
            tables.notifications, tables.history, tables.spans, tables.alerts, tables.silences,
            tables.late, tables.checkpoints,
        ):  # fmt: skip
            connection.execute(sa.delete(table))


def without_sync(connection, _record):
    """Let a test's database trust the operating system: what is tested is no power cut."""
    connection.execute("PRAGMA synchronous=OFF")
