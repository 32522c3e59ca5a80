"""kill -9 between any two steps of judging, keeping and telling: no alert is lost, none comes twice."""

import os
import shutil
import signal
import sqlite3
from collections import Counter

import pytest
import sqlalchemy as sa

from cloud_ingest.alerts import tables
from cloud_ingest.database import Database
from cloud_ingest.notification import Channel, ChannelConfiguration, NotificationWorker
from telemetry.batches import SampleBatch
from tests.cloud_ingest.alerts.parts import T0, MemoryStore, rule, series, service_of, without_sync

FIELD = [series(0), series(1, "quiet"), series(2, "wind", metric="wind_direction")]
RULES = [
    rule(id="high", above=50, select={"device": "d"}, hold="20s", refire_within="0s", levels=[{"severity": "critical", "above": 80}]),
    rule("difference", id="gain", select={"device": "d"}, minus={"device": "quiet"}, step="30s", above=15),
    rule("no_data", id="silence", select={"device": "quiet"}, at_least="45s", intervals=1, refire_within="0s"),
]  # fmt: skip
STEP_MS = 30_000
HIGH = [40, 60, 60, 90, 90, 40, 40, 40, 40, 60, 60, 60, 40, 40, 40, 40, 40, 40]
"""By step; the quiet sensor says nothing in the steps 4 to 10."""


def batch_at(step):
    time_ms = T0 + step * STEP_MS
    rows = [(0, time_ms + n * 10_000, float(HIGH[step])) for n in range(3)]
    if not 4 <= step <= 10:
        rows += [(1, time_ms + n * 10_000, 40.0) for n in range(3)]
    return SampleBatch.of(*zip(*rows, strict=True), [1] * len(rows))


class Fuse:
    """Kills this very process at the n-th step (0: never); says what it was about to do."""

    def __init__(self, left, log):
        self.left, self.log, self.steps = left, log, 0
        self.sent = False

    def step(self, *_):
        self.steps += 1
        if self.steps == self.left:
            self.log.write_text("sent, not yet recorded" if self.sent else "")
            os.kill(os.getpid(), signal.SIGKILL)


class Disk(MemoryStore):
    """A store that survives: samples in a file."""

    def __init__(self, path):
        super().__init__()
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("CREATE TABLE IF NOT EXISTS s (i, t, v, q, PRIMARY KEY (i, t))")
        for i, t, v, q in self._db.execute("SELECT * FROM s"):
            self.samples.setdefault(i, {})[t] = (v, q)

    def write(self, batch):
        rows = zip(batch.series.tolist(), batch.time_ms.tolist(), batch.value.tolist(),
                   batch.quality.tolist(), strict=True)  # fmt: skip
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO s VALUES (?,?,?,?)", rows)
        self._db.execute("COMMIT")
        super().write(batch)


class Letters:
    """A notifier whose letters are on disk, as they would be in somebody's mailbox."""

    def __init__(self, path, fuse):
        self.path, self.fuse = path, fuse

    def send(self, title, body, severity):
        del title, severity  # they tell how many alerts share a letter
        self.fuse.step()
        with self.path.open("a") as file:
            file.writelines(" ".join(p.splitlines()[:2]) + "\n" for p in body.split("\n\n"))
        self.fuse.sent = True
        self.fuse.step()


def serve(folder, fuse):
    """Work off what is not acknowledged yet, in the pipeline's order; returns the steps it took."""
    database = Database(f"sqlite:///{folder}/quantrac.db")
    sa.event.listen(database.engine, "connect", without_sync)
    sa.event.listen(database.engine, "before_cursor_execute", fuse.step)
    sa.event.listen(database.engine, "commit", fuse.step)
    configuration = ChannelConfiguration(url="json://x", language="en", per_minute=600)
    channels = [Channel("post", configuration, Letters(folder / "letters", fuse))]
    store = Disk(folder / "samples.db")
    acknowledged = folder / "acknowledged"
    first = int(acknowledged.read_text()) if acknowledged.exists() else 0
    clock = [T0 + max(first - 1, 0) * STEP_MS + 25_000]
    service = service_of(database, RULES, store, FIELD, clock[0], channels=channels)
    worker = NotificationWorker(database, channels, clock=lambda: clock[0])
    for step in range(first, len(HIGH)):
        clock[0] = T0 + step * STEP_MS + 25_000
        batch = batch_at(step)
        fuse.step()
        store.write(batch)
        fuse.step()
        service.process(batch, clock[0])
        service.tick(clock[0])
        worker.work()
        fuse.sent = False
        fuse.step()
        acknowledged.write_text(str(step + 1))
    database.close()
    return fuse.steps


def run(folder, left):
    """Serve in a process of its own; whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            serve(folder, Fuse(left, folder / "killed"))
        except BaseException as error:  # told to the parent by the exit code
            (folder / "error").write_text(repr(error))
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), (folder / "error").read_text()
    return status == signal.SIGKILL


def records_of(folder):
    """Every alert with its spans and history, and the letters."""
    database = Database(f"sqlite:///{folder}/quantrac.db")
    with database.engine.connect() as connection:
        a, h, s = tables.alerts, tables.history, tables.spans
        alerts = {
            row.id: (row.rule, row.subject, row.state, row.severity, row.start_ms, row.end_ms, row.fires)
            for row in connection.execute(sa.select(a))
        }  # fmt: skip
        history = sorted(
            (alerts[row.alert_id][0], row.kind, row.time_ms)
            for row in connection.execute(sa.select(h))
            if row.kind != "notified" and not (row.kind == "fired" and "silence" in alerts[row.alert_id][0])
        )  # fmt: skip
        spans = sorted(
            (row.rule, row.start_ms, row.end_ms) for row in connection.execute(sa.select(s))
        )
        waiting = connection.execute(
            sa.select(sa.func.count()).where(tables.notifications.c.state == "waiting")
        ).scalar()
    database.close()
    letters = Counter((folder / "letters").read_text().splitlines())
    return sorted(alerts.values()), history, spans, letters, waiting


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill") / "template"
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/quantrac.db")
    database.migrate()
    database.close()
    return folder


@pytest.fixture(scope="module")
def undisturbed(template):
    folder = template.parent / "undisturbed"
    shutil.copytree(template, folder)
    steps = serve(folder, Fuse(0, folder / "killed"))
    return steps, records_of(folder)


def test_the_undisturbed_run_has_something_to_lose(undisturbed):
    steps, (alerts, _, _, letters, waiting) = undisturbed
    assert steps > 150
    assert [(a[0], a[2]) for a in alerts] == [
        ("test/gain", "resolved"), ("test/high", "resolved"), ("test/high", "resolved"),
        ("test/silence", "resolved"),
    ]  # fmt: skip
    assert set(letters.values()) == {1}
    assert waiting == 0


EVERY = 7
"""The process is killed at every seventh step; 1 tries all of them and takes a quarter of an hour."""


@pytest.mark.slow
def test_a_kill_at_any_step_loses_and_doubles_nothing(template, undisturbed):
    steps, (alerts, history, spans, letters, _) = undisturbed
    for left in range(1, steps + 1, EVERY):
        folder = template.parent / f"killed-{left}"
        shutil.copytree(template, folder)
        assert run(folder, left)
        sent_unrecorded = bool((folder / "killed").read_text())
        assert not run(folder, 0)
        found = records_of(folder)
        assert found[:3] == (alerts, history, spans), left
        assert set(found[3]) == set(letters), left
        if not sent_unrecorded:  # what left the house unrecorded goes out again: at least once
            assert found[3] == letters, left
        shutil.rmtree(folder)
