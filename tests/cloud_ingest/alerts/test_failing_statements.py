"""One SQL statement fails once; the same call again leads to the same state as without the failure."""

import pytest
import sqlalchemy as sa

from cloud_ingest.alerts import tables
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.alerts.silences import Silence
from cloud_ingest.notification import Channel, ChannelConfiguration
from tests.cloud_ingest.alerts.failing_statements import (
    Failure,
    each_statement_failing_once,
    failing_at,
)
from tests.cloud_ingest.alerts.parts import T0, MemoryStore, batch_of, rule, series, service_of

MINUTE = 60_000
LIMIT = rule(
    above=50, hold="1s", refire_within="10m", levels=[{"severity": "critical", "above": 80}]
)
NO_DATA = rule("no_data", id="silent", at_least="60s")
FIELD = [series(0), series(1, "e"), series(2, "f", station="t", gateway="h")]

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Clock:
    """The time of the rules and of people, put forward by hand."""

    def __init__(self, monkeypatch):
        self.now_ms = T0
        monkeypatch.setattr(
            "cloud_ingest.alerts.operations.commands.utc_now_ms", lambda: self.now_ms
        )


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class Shift:
    """A service whose calls are repeated after a failure, as the pipeline and people do."""

    def __init__(self, database, clock, failure):
        self.database, self.clock, self.failure = database, clock, failure
        self.store = MemoryStore()
        clock.now_ms = T0
        chosen = ChannelConfiguration(url="json://x", language="en")
        self.channels = [Channel("pager", chosen, None)]
        self.service = service_of(
            database, [LIMIT, NO_DATA], self.store, known=FIELD, channels=self.channels
        )
        self.events = []

    def again(self, call):
        with failing_at(self.database, self.failure):
            try:
                return call()
            except sa.exc.OperationalError:
                return call()

    def feed(self, *values, after_ms=1000, at_ms=None):
        self.clock.now_ms += after_ms
        time_ms = at_ms or self.clock.now_ms
        batch = batch_of([(i, time_ms, v) for i, v in enumerate(values) if v is not None])
        self.store.write(batch)
        self.events += self.again(lambda: self.service.process(batch, self.clock.now_ms))
        self.tick()

    def tick(self, after_ms=0):
        self.clock.now_ms += after_ms
        self.events += self.again(lambda: self.service.tick(self.clock.now_ms))

    def alert(self, **chosen):
        return self.service.queries.find(AlertFilter(**chosen))[0][0]["id"]

    def silence(self, station, length_ms):
        now_ms = self.clock.now_ms
        wanted = Silence(0, "silence", None, station, None, None, None, now_ms,
                         now_ms + length_ms, None, "works", "An", now_ms, None)  # fmt: skip
        return self.again(lambda: self.service.commands.silence(wanted))


def everything(database):
    """All rows of alerts, spans, histories, silences, late data and the queue."""
    found = {}
    with database.engine.connect() as connection:
        for table in (tables.alerts, tables.spans, tables.history, tables.silences, tables.late,
                      tables.notifications):  # fmt: skip
            rows = connection.execute(sa.select(table)).mappings().all()
            found[table.name] = sorted(str(dict(row)) for row in rows)
    return found


def a_day(shift):
    """What rules, outages, late data and people do to alerts."""
    shift.feed(40.0, 40.0, 40.0)
    shift.feed(60.0, 60.0, 60.0)
    shift.feed(60.0, 60.0, 40.0)  # two alerts fire, one was pending only
    commands = shift.service.commands
    first = shift.alert(series=["g/d/pm2_5"])
    shift.again(lambda: commands.acknowledge(first, "An"))
    shift.feed(90.0, 40.0, 40.0)  # one rises, one ends
    shift.feed(90.0, 60.0, 40.0)
    shift.feed(90.0, 90.0, 40.0)  # ... and fires again, higher
    silence = shift.silence("s", 10_000)
    second = shift.alert(series=["g/e/pm2_5"])
    shift.again(lambda: commands.silence_alert(second, "An", "works", None))
    shift.feed(90.0, 40.0, 40.0)  # its end ends its silence
    shift.again(lambda: commands.end_silence(silence.id, "An"))
    shift.tick(after_ms=11_000)
    shift.again(lambda: commands.resolve(first, "An"))
    shift.feed(40.0, 40.0, 40.0)
    late = shift.clock.now_ms - 4 * MINUTE
    for s in range(8):  # late data with an alert in it
        shift.feed(None, None, 60.0 if 2 <= s < 6 else 40.0, after_ms=1, at_ms=late + s * 1000)
    shift.tick(after_ms=11_000)
    shift.tick(after_ms=2 * MINUTE)  # everything is stale
    shift.feed(None, None, 40.0)
    shift.tick(after_ms=MINUTE)


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_statement_that_fails_once_changes_nothing_in_the_end(database, clock, every):
    def run(failure):
        shift = Shift(database, clock, failure)
        a_day(shift)
        return everything(database), [(e.kind, e.alert["id"]) for e in shift.events]

    assert each_statement_failing_once(database, run, every) > 150


def test_the_scenario_has_something_to_lose(database, clock):
    shift = Shift(database, clock, Failure())
    a_day(shift)
    kinds = {e.kind for e in shift.events}
    assert kinds >= {"pending", "cancelled", "fired", "rose", "resolved", "retrospective"}
    found = everything(database)
    assert all(found[name] for name in ("alerts", "alert_spans", "alert_history", "silences"))
    assert found["notifications"]


def test_a_retry_does_not_take_on_time_samples_for_late(database, clock):
    shift = Shift(database, clock, Failure(containing="INSERT INTO alerts"))
    shift.feed(60.0)
    shift.feed(60.0)
    assert shift.failure.failed is not None
    assert everything(database)["late_data"] == []


def test_a_silence_is_applied_although_reading_it_failed(database, clock):
    shift = Shift(database, clock, Failure(containing="FROM silences"))
    shift.silence("s", 10 * MINUTE)
    shift.feed(60.0)
    shift.feed(60.0)
    assert shift.failure.failed is not None
    assert shift.service.queries.get(shift.alert())["silenced"] is True
    assert everything(database)["notifications"] == []


@pytest.mark.parametrize("ended_by_hand", [False, True])
def test_the_end_of_a_silence_is_told_although_writing_it_failed(database, clock, ended_by_hand):
    shift = Shift(database, clock, Failure(containing="UPDATE alerts"))
    silence = shift.silence("s", 5000)
    shift.failure.failed = "not yet"
    shift.feed(60.0)
    shift.feed(60.0)
    shift.failure.failed = None
    if ended_by_hand:
        shift.service.commands.end_silence(silence.id, "An")
    shift.events.clear()
    shift.tick(after_ms=6000)
    assert shift.failure.failed is not None
    assert [e.kind for e in shift.events] == ["fired"]
    assert shift.service.queries.get(shift.alert())["silenced"] is False
    assert len(everything(database)["notifications"]) == 1
