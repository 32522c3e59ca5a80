"""News reaches people: over real SMTP and HTTP, after failures, in groups, at the right time."""

import email
import email.policy
import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from cloud_ingest.alerts import AlertNotFound, tables
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.alerts.silences import Silence
from cloud_ingest.notification import (
    Channel,
    ChannelConfiguration,
    NotificationWorker,
    NotifierError,
    channels,
)
from cloud_ingest.notification.channel_test import try_channel
from cloud_ingest.notification.cli import app
from cloud_ingest.notification.worker import retry_after_ms
from tests.cloud_ingest.alerts.parts import (
    T0,
    batch_of,
    rule,
    series,
    service_of,
)
from tests.cloud_ingest.notification.servers import HttpServer, SmtpServer
from tests.servers import free_port, wait_until

FIELD = [series(0), series(1, "e"), series(2, "f", station="t")]
MINUTE = 60_000


class Pager:
    """A notifier that writes down what it is given, or refuses it."""

    def __init__(self):
        self.sent = []
        self.broken = None

    def send(self, title, body, severity):
        if self.broken:
            raise NotifierError(self.broken)
        self.sent.append((title, body, severity.value))


class Office:
    """A service with one channel, and a clock that stands where it is put."""

    def __init__(self, database, **configuration):
        self.now_ms = T0
        self.pager = Pager()
        chosen = ChannelConfiguration(url="json://x", language="en", **configuration)
        self.channels = [Channel("pager", chosen, self.pager)]
        self.database = database
        self.service = service_of(
            database, [rule(above=50, refire_within="10m", levels=[{"severity": "critical", "above": 80}])],
            known=FIELD, channels=self.channels,
        )  # fmt: skip
        self.worker = self.new_worker()

    def new_worker(self):
        return NotificationWorker(self.database, self.channels, clock=lambda: self.now_ms)

    def feed(self, *values, after_s=1):
        self.now_ms += after_s * 1000
        rows = [(i, self.now_ms, v) for i, v in enumerate(values) if v is not None]
        return self.service.process(batch_of(rows), self.now_ms)

    def work(self, after_s=0):
        self.now_ms += after_s * 1000
        self.service.tick(self.now_ms)
        before = len(self.pager.sent)
        self.worker.work()
        return [title for title, _, _ in self.pager.sent[before:]]

    def states(self):
        with self.database.engine.connect() as connection:
            n = tables.notifications
            return list(connection.execute(sa.select(n.c.kind, n.c.state).order_by(n.c.id)).all())


@pytest.fixture
def smtp():
    server = SmtpServer()
    yield server
    server.stop()


@pytest.fixture
def http():
    server = HttpServer()
    yield server
    server.stop()


def test_an_alert_reaches_a_mailbox_and_a_webhook(database, smtp, http):
    found = channels([smtp.url, ChannelConfiguration(name="hook", url=http.url, language="en")])
    service = service_of(database, [rule(above=50)], known=FIELD, channels=found)
    worker = NotificationWorker(database, found)
    worker.start()
    try:
        service.process(batch_of([(0, T0, 60.5)]), T0)
        wait_until(lambda: smtp.mailbox.messages and http.bodies, "both have it")
    finally:
        worker.stop()
    recipients, text = smtp.mailbox.messages[0]
    mail = email.message_from_string(text, policy=email.policy.default)
    assert recipients == ["officer@office.example"]
    assert "Cảnh báo: Thử" in mail["Subject"]
    assert "60,5 µg/m³" in mail.get_body(("plain", "html")).get_content()
    assert "limit 50 µg/m³" in http.bodies[0]["message"]
    assert http.bodies[0]["type"] == "warning"
    alert = service.queries.find(AlertFilter())[0][0]
    assert [h["kind"] for h in alert["history"]] == ["fired", "notified", "notified"]
    assert {d["state"] for d in service.queries.deliveries(alert["id"])} == {"sent"}


def test_a_failure_is_tried_again_with_growing_pauses(database):
    office = Office(database)
    office.pager.broken = "connection refused"
    office.feed(60.0)
    assert office.work() == []
    assert office.work(after_s=1) == []
    office.pager.broken = None
    assert office.work(after_s=1) == []  # not yet due
    assert len(office.work(after_s=10)) == 1
    assert [retry_after_ms(n, 0.0) for n in (1, 2, 3, 20)] == [5000, 10_000, 20_000, 900_000]


def test_what_cannot_be_sent_for_a_day_is_given_up_and_recorded(database):
    office = Office(database)
    office.pager.broken = "no such user"
    office.feed(60.0)
    for _ in range(120):
        office.work(after_s=1200)
    assert office.states() == [("fired", "failed")]
    (alert,) = office.service.queries.find(AlertFilter())[0]
    assert alert["history"][-1]["kind"] == "notification_failed"
    assert "no such user" in alert["history"][-1]["text"]


def test_a_restart_loses_nothing_that_waits(database):
    office = Office(database)
    office.feed(60.0)
    office.worker = office.new_worker()
    assert len(office.work()) == 1
    office.worker = office.new_worker()
    assert office.work() == []


def test_alerts_of_one_station_come_in_one_message(database):
    office = Office(database)
    office.feed(60.0, 60.0, 60.0)
    titles = office.work()
    assert sorted(titles) == ["[warning] 2 alerts: s", "[warning] Alert: Test"]


def test_a_channel_is_not_flooded(database):
    office = Office(database, per_minute=1)
    office.feed(60.0, None, 60.0)
    assert office.work() == ["[warning] 2 alerts: s, t"]
    office.feed(None, 60.0)
    assert office.work() == []
    assert len(office.work(after_s=61)) == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_flood_of_alerts_is_one_message_of_a_readable_length(database):
    many = [series(i, f"d{i}", station=f"station-{i:03}") for i in range(300)]
    office = Office(database, per_minute=1)
    office.service = service_of(
        database, [rule(above=50, levels=[{"severity": "critical", "above": 80}])],
        known=many, channels=office.channels,
    )  # fmt: skip
    office.feed(*[60.0] * 250, *[90.0] * 50)
    (title,) = office.work()
    assert (
        title
        == "[critical] 300 alerts: station-000, station-001, station-002, station-003, station-004 +295"
    )
    body = office.pager.sent[0][1]
    assert len(body) < 4096  # what a chat takes
    assert "station-250" in body  # the worst come first
    assert body.endswith("… and 280 more, to be seen on the Quantrac page.")
    assert {state for _, state in office.states()} == {"sent"}


def test_the_end_is_told_when_it_has_lasted(database):
    office = Office(database)
    office.feed(60.0)
    office.work()
    office.feed(40.0)
    assert office.work(after_s=30) == []
    assert office.work(after_s=40) == ["[warning] Over: Test"]


def test_flapping_sends_one_message_until_it_rests(database):
    office = Office(database)
    sent = []
    for n in range(12):
        office.feed(60.0 if n % 2 == 0 else 40.0, after_s=10)
        sent += office.work()
    assert sent == ["[warning] Alert: Test"]
    assert office.work(after_s=700) == ["[warning] Over: Test"]


def test_a_rise_is_told_at_once(database):
    office = Office(database)
    office.feed(60.0)
    office.work()
    office.feed(90.0)
    assert office.work() == ["[critical] Alert more severe: Test"]


def test_quiet_hours_hold_back_all_but_the_critical(database):
    office = Office(database, quiet_hours="22:00-06:00")
    office.now_ms = 1_795_453_200_000 + 3_600_000  # 01:00 in Viet Nam
    office.feed(60.0, None, 90.0)
    assert office.work() == ["[critical] Alert: Test"]
    assert office.work(after_s=4 * 3600) == []
    assert office.work(after_s=3600) == ["[warning] Alert: Test"]
    assert len(office.states()) == 2


def test_an_escalation_goes_out_only_if_nobody_acknowledged(database):
    office = Office(database, escalate_after="15m")
    office.feed(60.0, 60.0)
    assert office.work() == []
    first = office.service.queries.find(AlertFilter())[0][0]["id"]
    office.service.commands.acknowledge(first, "An")
    assert office.work(after_s=16 * 60) == ["[warning] Not acknowledged: Test"]
    assert sorted(state for _, state in office.states()) == ["dropped", "sent"]


def test_an_alert_that_comes_and_goes_is_escalated_once(database):
    office = Office(database, escalate_after="15m")
    office.feed(60.0)
    office.feed(40.0, after_s=14 * 60)
    assert office.work(after_s=120) == []  # it was over when somebody would have been told
    office.feed(60.0)  # within ten minutes: the same alert
    assert office.work(after_s=16 * 60) == ["[warning] Not acknowledged: Test"]
    office.feed(40.0)
    office.feed(60.0)
    assert office.work(after_s=16 * 60) == []
    office.feed(90.0)
    assert office.work(after_s=16 * 60) == ["[critical] Not acknowledged: Test"]


def test_filters_choose_severity_station_and_rule(database):
    office = Office(database, severity=["critical"], station=["t"], rule=["test/*"])
    office.feed(90.0, 60.0, 60.0)
    assert office.work() == []
    office.feed(90.0, 60.0, 90.0)
    assert office.work() == ["[critical] Alert more severe: Test"]


def test_a_silenced_alert_is_told_when_the_silence_ends_and_it_is_still_on(database):
    office = Office(database)
    span = Silence(0, "silence", None, "s", None, None, None, T0, T0 + 10 * MINUTE, None,
                       "works", "An", T0, None)  # fmt: skip
    office.service.commands.silence(span)
    office.feed(60.0)
    assert office.work() == []
    assert office.work(after_s=11 * 60) == ["[warning] Alert: Test"]


def test_past_alerts_wake_nobody(database):
    office = Office(database)
    office.service.process(batch_of([(0, T0 - 86_400_000, 60.0)]), T0)
    assert office.work() == []
    assert office.states() == []


def test_an_address_that_nothing_serves_is_refused():
    with pytest.raises(ValueError, match="no notification service"):
        channels(["carrier-pigeon://loft"])


def test_notify_test_says_what_arrived_and_what_to_check(http):
    result = CliRunner().invoke(app, [http.url])
    assert result.exit_code == 0, result.output
    assert http.bodies[0]["title"] == "Quantrac: tin thử"
    http.status = 500
    result = CliRunner().invoke(app, [http.url, "--language", "en"])
    assert result.exit_code == 1
    assert "not sent: The receiving service has trouble of its own" in result.output


def test_a_channel_can_be_tried_from_the_desk(database, http, smtp):
    nobody = f"json://127.0.0.1:{free_port()}/hook/secret-token"
    wanted = [smtp.url, ChannelConfiguration(name="hook", url=http.url, language="en"),
              ChannelConfiguration(name="gone", url=nobody)]  # fmt: skip
    service = service_of(database, [rule(above=50)], known=FIELD, channels=channels(wanted))
    shown = service.queries.channels()
    assert [(c["name"], c["service"]) for c in shown] == [
        ("mailto-1", "mailto"), ("hook", "json"), ("gone", "json"),
    ]  # fmt: skip
    assert "secret" not in json.dumps(shown)
    assert service.commands.try_channel("mailto-1", "An") == {
        "channel": "mailto-1", "ok": True, "error": None, "detail": None,
    }  # fmt: skip
    assert "Content-Type: multipart" in smtp.mailbox.messages[0][1]
    assert service.commands.try_channel("hook", "An")["ok"]
    assert http.bodies[0]["title"] == "Quantrac: test message"
    gone = service.commands.try_channel("gone", "An")
    assert not gone["ok"]
    assert gone["error"]["en"].startswith("The server does not take the connection")
    assert "secret" not in json.dumps(gone)
    with pytest.raises(AlertNotFound):
        service.commands.try_channel("nothing", "An")


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "refuses the account"), (404, "does not know this recipient"), (429, "too many"),
     (503, "trouble of its own"), (400, "did not take the message")],
)  # fmt: skip
def test_a_failed_trial_says_what_to_check(http, status, said):
    http.status = status
    (channel,) = channels([http.url])
    assert said in try_channel(channel).error["en"]


def test_a_host_that_does_not_exist_is_named_as_the_reason():
    (channel,) = channels(["mailto://no-such-host.invalid?from=a@b.example&to=c@d.example"])
    assert "was not found" in try_channel(channel).error["en"]
