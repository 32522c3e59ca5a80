"""People and rules change alerts at the same time, on both kinds of database; none undoes another."""

import threading
from itertools import pairwise

import pytest
import sqlalchemy as sa

from cloud_ingest.alerts import AlertConflict, tables
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.alerts.silences import Silence
from tests.cloud_ingest.alerts.failing_statements import Failure, failing_at
from tests.cloud_ingest.alerts.parts import T0, batch_of, rule, series, service_of

FIELD = [series(i, f"d{i}") for i in range(4)]


class Officers:
    """People who acknowledge, comment and silence as fast as they can."""

    def __init__(self, service):
        self.service = service
        self.comments = 0
        self.failed = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(w,)) for w in
                         (self._acknowledge, self._comment, self._silence)]  # fmt: skip

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, work):
        while not self._stopping.is_set():
            for alert in self.service.queries.find(AlertFilter(states=["open"]))[0]:
                try:
                    work(alert["id"])
                except AlertConflict:
                    continue  # it was over by then
                except Exception as error:  # the test shows it
                    self.failed.append(error)

    def _acknowledge(self, alert_id):
        self.service.commands.acknowledge(alert_id, "An")

    def _comment(self, alert_id):
        self.service.commands.comment(alert_id, "Bình", "seen")
        self.comments += 1

    def _silence(self, alert_id):
        span = Silence(0, "silence", None, "s", None, None, None, 1, None, None,
                           "works", "Chi", 1, None)  # fmt: skip
        made = self.service.commands.silence(span)
        self.service.commands.end_silence(made.id, "Chi")


def test_an_alert_that_ends_while_people_work_on_it_stays_ended(database):
    service = service_of(database, [rule(above=50, refire_within="0s")], known=FIELD)
    now_ms = T0
    with Officers(service) as officers:
        for n in range(40):
            now_ms += 1000
            value = 60.0 if n % 2 == 0 else 40.0
            service.process(batch_of([(i, now_ms, value) for i in range(4)]), now_ms)
            service.tick(now_ms)
    assert officers.failed == []
    with database.engine.connect() as connection:
        t = tables.alerts
        rows = connection.execute(sa.select(t.c.state, t.c.open_key, t.c.end_ms)).all()
        commented = connection.execute(
            sa.select(sa.func.count()).where(tables.history.c.kind == "commented")
        ).scalar()
    assert len(rows) == 80
    assert {row.state for row in rows} == {"resolved"}
    assert {row.open_key for row in rows} == {None}
    assert all(row.end_ms is not None for row in rows)
    assert commented == officers.comments > 0


@pytest.mark.parametrize("poison", ["x" * 300, "nul\x00"])
def test_a_finding_that_the_database_refuses_keeps_no_other_from_being_told(database, poison):
    """PostgreSQL refuses what is too long, and NUL; SQLite takes both."""
    field = [series(0, station=poison), series(1, "e")]
    service = service_of(database, [rule(above=50)], known=field)
    service.process(batch_of([(0, T0, 60.0), (1, T0, 60.0)]), T0)
    service.process(batch_of([(0, T0 + 1, 40.0), (1, T0 + 1, 40.0)]), T0 + 1)
    found = {a["series"]: a["state"] for a in service.queries.find(AlertFilter())[0]}
    assert found["g/e/pm2_5"] == "resolved"
    assert service.transitions_not_stored == (1 if "postgresql" in str(database.url) else 0)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_thousand_alerts_at_once_leave_the_database_to_others_in_between(database):
    many = [series(i, f"d{i}") for i in range(1000)]
    service = service_of(database, [rule(above=50)], known=many)
    begun = []

    @sa.event.listens_for(database.engine, "commit")
    def count(_connection):
        with database.engine.connect().execution_options(read_only=True) as connection:
            begun.append(connection.execute(sa.select(sa.func.count(tables.alerts.c.id))).scalar())

    try:
        events = service.process(batch_of([(i, T0, 60.0) for i in range(1000)]), T0)
    finally:
        sa.event.remove(database.engine, "commit", count)
    assert len(events) == 1000
    assert len(service.queries.find(AlertFilter(), 2000)[0]) == 1000
    assert len(begun) >= 5
    assert max(b - a for a, b in pairwise(begun)) <= 200


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_database_that_fails_half_way_stores_the_rest_later_and_publishes_each_event_once(
    database,
):
    many = [series(i, f"d{i}") for i in range(500)]
    service = service_of(database, [rule(above=50)], known=many)
    half_way = Failure(at=1500)
    with failing_at(database, half_way), pytest.raises(sa.exc.OperationalError):
        service.process(batch_of([(i, T0, 60.0) for i in range(500)]), T0)
    assert 0 < len(service.queries.find(AlertFilter(), 1000)[0]) < 500
    events = service.tick(T0 + 1000)
    assert len({e.alert["id"] for e in events}) == len(events) == 500
    assert len(service.queries.find(AlertFilter(), 1000)[0]) == 500
