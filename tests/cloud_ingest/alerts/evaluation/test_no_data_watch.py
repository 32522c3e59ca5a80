"""Silence has a shape: the widest thing that explains it alerts once and mutes the narrower."""

from dataclasses import replace

import pytest

from cloud_ingest.alerts.operations import AlertFilter
from tests.cloud_ingest.alerts.parts import T0, batch_of, rule, series, service_of

RULE = rule("no_data", intervals=5, at_least="10s", refire_within="0s")
BUS = ("bus:rs485",)
FIELD = [
    series(0, "pm", "pm2_5"),
    series(1, "pm", "pm10"),
    series(2, "a", "ph", tags=BUS),
    series(3, "b", "cod", tags=BUS),
    series(4, "pm", "pm2_5", gateway="h", station="t"),
]


class Field:
    """Devices that send each second, unless they are silent."""

    def __init__(self, database):
        self.service = service_of(database, [RULE], known=FIELD)
        self.now_ms = T0
        self.silent = set()

    def run(self, seconds):
        told = []
        for _ in range(seconds):
            self.now_ms += 1000
            rows = [(s.index, self.now_ms, 1.0) for s in FIELD if s.index not in self.silent]
            self.service.process(batch_of(rows), self.now_ms)
            told += self.service.tick(self.now_ms)
        return [(e.kind, e.alert["scope"], e.alert["subject"]) for e in told]

    def open(self):
        items, _ = self.service.queries.find(AlertFilter(states=["open"]))
        return {a["subject"]: a for a in items}


@pytest.fixture
def field(database):
    found = Field(database)
    assert found.run(20) == []
    return found


@pytest.mark.parametrize(
    ("silent", "told"),
    [
        ({0}, ("metric", "g/pm/pm2_5")),
        ({0, 1}, ("device", "g/pm")),
        ({2, 3}, ("bus", "g#rs485")),
        ({0, 1, 2, 3}, ("gateway", "g")),
        ({4}, ("gateway", "h")),
    ],
)
def test_the_widest_silence_is_told_once_and_ends_when_data_comes(field, silent, told):
    field.silent = silent
    assert field.run(40) == [("fired", *told)]
    field.silent = set()
    assert field.run(20) == [("resolved", *told)]


def test_a_wider_silence_mutes_the_narrower_ones(field):
    field.silent = {0}
    assert field.run(20) == [("fired", "metric", "g/pm/pm2_5")]
    field.silent = {0, 1, 2, 3}
    assert field.run(20) == [("fired", "gateway", "g")]
    alerts = field.open()
    assert alerts["g/pm/pm2_5"]["muted_by"] == alerts["g"]["id"]
    field.silent = {0}
    assert field.run(5) == [("resolved", "gateway", "g")]
    assert field.open()["g/pm/pm2_5"]["muted_by"] is None


def test_a_lost_broker_explains_everything(field):
    field.service.set_broker_online(False, field.now_ms)
    field.silent = {0, 1, 2, 3, 4}
    assert field.run(60) == [("fired", "broker", "*")]
    field.service.set_broker_online(True, field.now_ms)
    field.silent = set()
    assert field.run(30) == [("resolved", "broker", "*")]


def test_a_gateway_that_stays_away_after_the_broker_is_back_is_told(field):
    field.service.set_broker_online(False, field.now_ms)
    field.silent = {0, 1, 2, 3, 4}
    field.run(20)
    field.service.set_broker_online(True, field.now_ms)
    field.silent = {4}
    assert field.run(30) == [("resolved", "broker", "*"), ("fired", "gateway", "h")]


def test_an_announced_death_is_told_as_the_gateways(field):
    field.service.set_online("g", None, False, field.now_ms)
    field.silent = {0, 1, 2, 3}
    assert field.run(15) == [("fired", "gateway", "g")]
    field.service.set_online("g", None, True, field.now_ms)
    field.silent = set()
    assert field.run(5) == [("resolved", "gateway", "g")]


def test_an_open_silence_survives_a_restart(field, database):
    field.silent = {0, 1}
    field.run(20)
    field.service.stop(field.now_ms)
    field.service = service_of(database, [RULE], known=FIELD, now_ms=field.now_ms)
    assert field.run(30) == []
    field.silent = set()
    assert field.run(3) == [("resolved", "device", "g/pm")]


def test_a_restart_of_the_service_is_no_silence(field, database):
    field.service.stop(field.now_ms)
    hour_later = field.now_ms + 3_600_000
    field.service = service_of(database, [RULE], known=FIELD, now_ms=hour_later)
    field.now_ms = hour_later
    assert field.run(30) == []


def test_an_event_sensor_may_be_quiet_until_its_device_dies(database):
    radar = replace(series(1, "radar", "vehicle_speed"), interval_ms=0)
    service = service_of(database, [RULE], known=[series(0), radar])
    told = []
    for s in range(1, 200):
        now_ms = T0 + s * 1000
        rows = [(0, now_ms, 1.0)] + ([(1, now_ms, 40.0)] if s < 5 else [])
        service.process(batch_of(rows), now_ms)
        if s == 150:
            service.set_online("g", "radar", False, now_ms)
        told += [(e.kind, e.alert["subject"], s) for e in service.tick(now_ms)]
    assert told == [("fired", "g/radar", 161)]
    service.set_online("g", "radar", True, now_ms)
    assert [e.kind for e in service.tick(now_ms + 1000)] == ["resolved"]
