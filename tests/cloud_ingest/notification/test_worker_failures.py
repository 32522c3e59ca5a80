"""Failures inside the worker: nothing is lost, no message is repeated, and the thread stays alive."""

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from cloud_ingest.alerts import tables
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.notification import worker as worker_module
from tests.cloud_ingest.alerts.failing_statements import each_statement_failing_once, failing_at
from tests.cloud_ingest.notification.test_notification import Office
from tests.servers import wait_until


def outcome(database):
    """What the queue and the histories hold in the end, without times of retries."""
    n, h = tables.notifications, tables.history
    with database.engine.connect() as connection:
        queue = connection.execute(
            sa.select(n.c.key, n.c.state, n.c.attempts, n.c.error).order_by(n.c.key)
        ).all()
        history = connection.execute(sa.select(h.c.kind, h.c.text).order_by(h.c.id)).all()
    return [tuple(row) for row in queue], sorted(
        (kind, text) for kind, text in history if kind.startswith("noti")
    )


def one_evening(office, work):
    """Two stations alarm, the pager is broken for a while, one alert ends, one channel is gone."""
    office.feed(60.0, 60.0, 90.0)
    work()
    office.pager.broken = "busy"
    office.feed(90.0)
    work()
    office.pager.broken = None
    work(after_s=10)
    office.feed(40.0, None, 40.0)
    work(after_s=70)
    office.feed(60.0)
    office.worker._channels.clear()
    work()
    return office.pager.sent


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_statement_that_fails_once_repeats_no_message_and_loses_none(database):
    def run(fail):
        office = Office(database)

        def work(after_s=0):
            office.now_ms += after_s * 1000
            office.service.tick(office.now_ms)
            with failing_at(database, fail) as failure:
                try:
                    office.worker.work()
                except sa.exc.OperationalError:
                    office.worker.work()  # what the thread does after its pause
            return failure

        sent = one_evening(office, work)
        return sent, outcome(database)

    assert each_statement_failing_once(database, run) > 20


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_unforeseen_exception_does_not_end_the_worker_and_is_seen(database, monkeypatch):
    monkeypatch.setattr(worker_module, "PAUSE_S", 0.01)
    office = Office(database)
    office.feed(60.0)
    due, broken = office.worker._due, [True]

    def defective(now_ms):
        if broken:
            raise KeyError("key")
        return due(now_ms)

    monkeypatch.setattr(office.worker, "_due", defective)
    with capture_logs() as logs:
        office.worker.start()
        try:
            wait_until(lambda: office.worker.failures > 1, "the defect was met twice")
            assert office.worker.problem == "KeyError: 'key'"
            assert {e["event"] for e in logs} == {"notification_worker_failed"}
            broken.clear()
            wait_until(lambda: office.pager.sent, "the message is sent after all")
            wait_until(lambda: not office.worker.problem, "the worker reports no problem")
        finally:
            office.worker.stop()
    assert [e["event"] for e in logs][-1] == "notification_worker_recovered"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_dead_worker_thread_is_a_problem(database, monkeypatch):
    office = Office(database)

    def end_thread():
        raise SystemExit

    monkeypatch.setattr(office.worker, "work", end_thread)
    assert office.worker.problem == ""
    office.worker.start()
    wait_until(lambda: office.worker.problem, "the dead thread is seen")
    assert office.worker.problem == "the notification worker is not running"
    office.worker.stop()
    assert office.worker.problem == ""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_defective_notifier_is_tried_again_and_stops_no_other_message(database):
    office = Office(database)
    send = office.pager.send

    def defective(title, body, severity):
        if "Alert:" in title:  # the message about station t
            raise ZeroDivisionError("a defect")
        send(title, body, severity)

    office.pager.send = defective
    office.feed(60.0, 60.0, 60.0)
    assert office.work() == ["[warning] 2 alerts: s"]
    assert office.worker.failures == 1
    office.pager.send = send
    assert office.work(after_s=10) == ["[warning] Alert: Test"]
    assert {d["state"] for a in office.service.queries.find(AlertFilter())[0]
            for d in office.service.queries.deliveries(a["id"])} == {"sent"}  # fmt: skip
