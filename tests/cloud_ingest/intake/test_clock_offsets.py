"""A gateway whose clock is wrong or jumps raises an alert, from its messages alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_rules import load_rules
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.database import Database
from cloud_ingest.intake.clock_offsets import time_stamp
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from cloud_ingest.inventory.inventory import Inventory
from telemetry.batches import SampleBatch
from telemetry.series import Series
from tests.cloud_ingest.alerts.parts import service_of
from tests.cloud_ingest.gateways import NOW_MS, Gateway

MINUTE = 60_000


class Host:
    """A receiver, the derived series of clocks, and the rules of device health."""

    def __init__(self, tmp_path):
        self.database = Database(f"sqlite:///{tmp_path}/quantrac.db")
        self.database.migrate()
        self.inventory = Inventory(self.database)
        self.receiver = Receiver(self.inventory, IntakeConfiguration())
        rules = [r for r in load_rules(["library/device-health"]) if r.id.startswith("clock-")]
        self.service = service_of(self.database, rules, known=())
        self.gateway = Gateway()
        self.now_ms = NOW_MS
        self.offsets = []

    def take(self, message):
        self.receiver.take(MqttMessage(message.topic, message.payload, self.now_ms))

    def run(self, minutes, offset_ms, delays=(50,)):
        """Messages each ten seconds from a clock that is ``offset_ms`` off."""
        events = []
        for second in range(0, minutes * 60, 10):
            self.now_ms += 10_000
            delay_ms = delays[second // 10 % len(delays)]
            self.gateway.time_ms = self.now_ms - delay_ms + offset_ms
            self.take(self.gateway.data(("pm2_5", self.gateway.time_ms, 9.0)))
            self.receiver.take_work()
            events += self.judge()
        return [(e.kind, e.alert["rule"].split("/")[1], e.alert["severity"]) for e in events]

    def judge(self):
        events = []
        for d in self.receiver.clocks.tick(self.now_ms):
            series = Series(0, d.key, d.group, d.station, d.quantity, d.unit, d.interval_ms)
            if not self.service.series:
                self.service.register([series])
            self.offsets.append(d.value)
            batch = SampleBatch.of([0], [d.time_ms], [d.value], [2])
            events += self.service.process(batch, self.now_ms)
        return events


@pytest.fixture
def host(tmp_path):
    found = Host(tmp_path)
    for message in found.gateway.births():
        found.take(message)
    yield found
    found.database.close()


def test_a_clock_that_is_right_is_no_alert_however_slow_the_network(host):
    assert host.run(10, 0, delays=(50, 20_000, 45_000)) == []
    assert max(map(abs, host.offsets)) < 0.1
    (series,) = host.service.series
    assert (str(series.key), series.station, series.unit) == (
        "bd-tdm-001/index/clock_offset",
        "tdm",
        "s",
    )


def test_a_clock_that_is_set_two_hours_ahead_and_right_again_is_told_with_what_to_do(host):
    host.run(5, 0)
    events = host.run(8, 7_200_000)
    assert ("fired", "clock-jump", "info") in events
    assert ("fired", "clock-ahead", "critical") in events
    (alert,) = host.service.queries.find(AlertFilter(rules=["device-health/clock-ahead"]))[0]
    assert (alert["station"], alert["gateway"]) == ("tdm", "bd-tdm-001")
    assert "the clock of bd-tdm-001 is 7200 s ahead" in alert["text"]["en"]
    assert "Check the gateway's NTP and clock battery" in alert["text"]["en"]
    assert "Kiểm tra NTP" in alert["text"]["vi"]
    events = host.run(20, 0)
    assert ("resolved", "clock-ahead", "critical") in events
    assert host.service.queries.find(AlertFilter(states=["open"]))[0] == []


def test_a_clock_that_never_was_set_is_behind(host):
    events = host.run(6, -NOW_MS + 3_600_000)  # 1970, an hour after power came
    assert ("fired", "clock-behind", "critical") in events


def test_wills_and_replayed_messages_say_nothing_of_a_clock(host):
    host.run(3, 0)
    host.gateway.time_ms = host.now_ms - 3_600_000
    host.take(host.gateway.message("NDEATH", Payload(timestamp=host.gateway.time_ms)))
    again = host.gateway.data(("pm2_5", host.gateway.time_ms, 9.0))
    host.receiver.take(MqttMessage(again.topic, again.payload, host.now_ms, replayed="message"))
    host.now_ms += 2 * MINUTE
    host.judge()
    assert min(host.offsets) > -1


@given(st.integers(0, 2**63 - 1))
def test_the_time_stamp_is_read_as_protobuf_wrote_it(time_ms):
    assert time_stamp(Payload(timestamp=time_ms, seq=3).SerializeToString()) == time_ms


@given(st.binary(max_size=24))
def test_no_bytes_are_too_strange(data):
    found = time_stamp(data)
    assert found is None or 0 <= found < 1 << 63
