"""What an alert goes through in its life."""

import pytest

from alert_rules import load_rules
from alert_rules.loading import library_packs
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.detection import SeasonalResidualDetector
from tests.cloud_ingest.alerts.parts import (
    T0,
    MemoryStore,
    batch_of,
    rule,
    series,
    service_of,
)

RULE = rule(above=50, hold="3s", clear_after="2s", refire_within="6s", gap="4s")


def test_late_data_gives_a_retrospective_alert_that_wakes_nobody(database):
    store = MemoryStore()
    service = service_of(database, [RULE], store)
    early = [(0, T0 + s * 1000, 40.0) for s in range(100)]
    late = [(0, T0 + s * 1000, 60.0 if s < 150 else 40.0) for s in range(100, 200)]
    live = [(0, T0 + s * 1000, 40.0) for s in range(200, 250)]
    for rows in (early, live, late):
        part = batch_of(rows)
        store.write(part)
        assert service.process(part, T0 + 250_000) == []
    assert service.tick(T0 + 255_000) == []  # it may still be coming in
    events = service.tick(T0 + 261_000)
    assert [e.kind for e in events] == ["retrospective"]
    (alert,) = service.queries.find(AlertFilter())[0]
    assert alert["retrospective"] is True
    assert alert["state"] == "resolved"
    assert (alert["start_ms"], alert["end_ms"]) == (T0 + 100_000, T0 + 152_000)
    assert service.tick(T0 + 300_000) == []


def test_what_arrives_in_order_but_old_is_told_as_past_until_it_reaches_the_present(database):
    service = service_of(database, [RULE], MemoryStore())
    day = 86_400_000
    old = batch_of([(0, T0 + s * 1000, 60.0) for s in range(10)])
    (event,) = [e for e in service.process(old, T0 + day) if e.kind == "fired"]
    assert event.alert["retrospective"] is True
    fresh = batch_of([(0, T0 + day + s * 1000, 60.0) for s in range(10)])
    service.process(fresh, T0 + day + 10_000)
    events = service.tick(T0 + day + 11_000)
    assert [(e.kind, e.alert["retrospective"]) for e in events] == [("fired", False)]


def test_a_database_that_is_away_delays_alerts_and_loses_none(database, monkeypatch):
    service = service_of(database, [RULE], MemoryStore())
    rows = [(0, T0 + s * 1000, 60.0) for s in range(10)]
    engine = database.engine

    class Away:
        def begin(self):
            raise ConnectionError("away")

    monkeypatch.setattr(database, "engine", Away())
    with pytest.raises(ConnectionError):
        service.process(batch_of(rows), T0 + 10_000)
    monkeypatch.setattr(database, "engine", engine)
    kinds = [e.kind for e in service.process(batch_of(rows), T0 + 10_000)]
    assert kinds == ["pending", "fired"]


def test_severity_rises_and_asks_for_a_new_acknowledgement(database):
    rising = rule(above=50, levels=[{"severity": "critical", "above": 80}])
    service = service_of(database, [rising])
    service.process(batch_of([(0, T0, 60.0)]), T0)
    (alert,) = service.queries.find(AlertFilter())[0]
    service.commands.acknowledge(alert["id"], "An")
    (event,) = service.process(batch_of([(0, T0 + 1000, 90.0)]), T0 + 1000)
    assert (event.kind, event.alert["severity"], event.alert["state"]) == (
        "rose",
        "critical",
        "firing",
    )
    shown = service.queries.get(alert["id"])
    assert [h["kind"] for h in shown["history"]] == ["fired", "acknowledged", "rose"]
    assert shown["history"][1]["by"] == "An"


def test_flapping_is_one_alert_that_says_so(database):
    flapping = rule(above=50, refire_within="10s")
    service = service_of(database, [flapping])
    events = []
    for s in range(20):
        rows = [(0, T0 + s * 1000, 60.0 if s % 2 == 0 else 40.0)]
        events += service.process(batch_of(rows), T0 + s * 1000)
    (alert,) = service.queries.find(AlertFilter())[0]
    assert (alert["fires"], alert["flapping"], len(alert["spans"])) == (10, True, 10)
    assert [e.kind for e in events].count("fired") == 1


def test_a_hold_time_does_not_run_on_in_a_gap(database):
    service = service_of(database, [rule(above=50, hold="60s", gap="5s")])
    service.process(batch_of([(0, T0, 60.0), (0, T0 + 1000, 60.0)]), T0 + 1000)
    events = service.process(batch_of([(0, T0 + 5_400_000, 60.0)]), T0 + 5_400_000)
    assert events == []
    assert service.queries.find(AlertFilter(states=["firing"]))[0] == []


def test_an_alert_resolved_by_hand_fires_again_only_after_it_was_over(database):
    service = service_of(database, [rule(above=50, refire_within="0s")])
    service.process(batch_of([(0, T0, 60.0)]), T0)
    (alert,) = service.queries.find(AlertFilter())[0]
    service.commands.resolve(alert["id"], "An", "known works")
    assert service.process(batch_of([(0, T0 + 1000, 60.0)]), T0 + 1000) == []
    service.process(batch_of([(0, T0 + 2000, 40.0)]), T0 + 2000)
    later = batch_of([(0, T0 + 10**9, 60.0)])
    (event,) = service.process(later, T0 + 10**9)
    assert event.kind == "fired"
    assert event.alert["id"] != alert["id"]


def test_composite_rules_need_all_their_parts_at_one_location(database):
    pm = rule(id="pm", above=50, alert=False, select={"quantity": "pm2_5"})
    wind = rule(id="wind", between=[80, 100], alert=False, circular=True,
                select={"quantity": "wind_direction"})  # fmt: skip
    both = rule("composite", id="factory", when={"all": ["test/pm", "test/wind"]})
    known = [series(0), series(1, metric="wind_direction"), series(2, station="t", gateway="h"),
             series(3, metric="wind_direction", station="t", gateway="h")]  # fmt: skip
    service = service_of(database, [pm, wind, both], known=known)
    first = service.process(batch_of([(0, T0, 60.0), (1, T0, 10.0), (3, T0, 90.0)]), T0)
    assert first == []
    (event,) = service.process(batch_of([(1, T0 + 1000, 90.0)]), T0 + 1000)
    assert (event.kind, event.alert["rule"], event.alert["series"]) == (
        "fired",
        "test/factory",
        "g/d/pm2_5",
    )
    (event,) = service.process(batch_of([(0, T0 + 2000, 40.0)]), T0 + 2000)
    assert event.kind == "resolved"


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # it is about the rules' memory
def test_every_pack_survives_a_restart(database):
    rules = [r for r in load_rules(library_packs()) if r.is_enabled]
    quantities = ["pm2_5", "pm10", "so2", "vehicle_speed", "occupancy", "battery_level", "cod"]
    known = [series(i, f"d{i}", q) for i, q in enumerate(quantities)]
    store = MemoryStore()
    for run in range(3):
        now_ms = T0 + run * 10_000_000
        more = [series(len(quantities) + run, "new", f"laeq{run}")] if run else []
        known = [*more, *known]  # slots are given in another order than before
        service = service_of(
            database, rules, store, known=known, now_ms=now_ms, detector=SeasonalResidualDetector()
        )
        for s in range(0, 4000, 80):
            part = batch_of([(i, now_ms + s * 1000, 50.0 + s % 7) for i in range(len(quantities))])
            store.write(part)
            service.process(part, now_ms + s * 1000)
            service.tick(now_ms + s * 1000)
        if run == 0:
            service.stop(now_ms + 4_000_000)
    assert service.queries.find(AlertFilter())[0] is not None


def test_alerts_of_a_rule_that_is_switched_off_end_at_the_next_start(database):
    service = service_of(database, [rule(above=50)])
    service.process(batch_of([(0, T0, 60.0)]), T0)
    service.stop(T0)
    service = service_of(database, [], now_ms=T0 + 1000)
    (alert,) = service.queries.find(AlertFilter())[0]
    assert (alert["state"], alert["history"][-1]["kind"]) == ("resolved", "withdrawn")


def test_the_rules_memory_is_kept_once_a_minute_and_not_at_every_tick(database, monkeypatch):
    kept_ms = []
    service = service_of(database, [RULE])
    monkeypatch.setattr(
        "cloud_ingest.alerts.evaluation.checkpoints.save",
        lambda _connection, _parts, now: kept_ms.append(now),
    )
    for second in range(1, 125):
        service.tick(T0 + second * 1000)
    assert kept_ms == [T0 + 60_000, T0 + 120_000]


HEAT = rule(above=30, unit=None, severity="warning", refire_within="10m",
            levels=[{"severity": "critical", "above": 40}])  # fmt: skip


def limit_in(alert):
    """The limit that the text of an alert names."""
    return alert["text"]["en"].split("limit ")[1].split(" ")[0]


def feed(service, *rows):
    """One sample after the other, each a second of the scenario and a value; the last events."""
    for second, value in rows:
        events = service.process(batch_of([(0, T0 + second * 1000, value)]), T0 + second * 1000)
    return events


def test_a_refire_at_a_higher_severity_is_a_rise_and_asks_for_a_new_acknowledgement(database):
    service = service_of(database, [HEAT])
    feed(service, (0, 35.0))
    (alert,) = service.queries.find(AlertFilter())[0]
    service.commands.acknowledge(alert["id"], "An")
    feed(service, (30, 20.0))
    (event,) = feed(service, (90, 55.0))
    assert event.kind == "rose"
    found = service.queries.get(alert["id"])
    assert (found["severity"], found["state"], found["limit"]) == ("critical", "firing", 40.0)
    assert (found["acknowledged_by"], found["acknowledged_ms"]) == (None, None)
    assert (found["value"], found["peak"], limit_in(found)) == (55.0, 55.0, "40")
    assert (found["fires"], len(found["spans"])) == (2, 2)
    kinds = [h["kind"] for h in found["history"]]
    assert kinds == ["fired", "acknowledged", "resolved", "refired", "rose"]


def test_a_refire_at_the_same_or_a_lower_severity_keeps_the_acknowledgement(database):
    service = service_of(database, [HEAT])
    feed(service, (0, 55.0))
    (alert,) = service.queries.find(AlertFilter())[0]
    service.commands.acknowledge(alert["id"], "An")
    for value, limit in ((55.0, 40.0), (35.0, 30.0)):
        feed(service, (30, 20.0)) if limit == 40.0 else feed(service, (150, 20.0))
        (event,) = feed(service, (90 if limit == 40.0 else 210, value))
        assert event.kind == "refired"
        found = service.queries.get(alert["id"])
        assert (found["severity"], found["state"]) == ("critical", "acknowledged")
        assert (found["value"], found["limit"], limit_in(found)) == (value, limit, f"{limit:g}")


def test_an_alert_that_fires_at_a_higher_level_than_it_was_pending_at_has_that_limit(database):
    held = rule(
        above=30, severity="warning", hold="2s", levels=[{"severity": "critical", "above": 40}]
    )
    service = service_of(database, [held])
    (event,) = feed(service, (0, 55.0))
    assert (event.kind, event.alert["severity"], event.alert["limit"]) == ("pending", "warning", 30)
    (event,) = feed(service, (1, 55.0), (2, 55.0))
    assert (event.kind, event.alert["severity"], event.alert["limit"]) == ("fired", "critical", 40)
    assert limit_in(event.alert) == "40"


def test_late_data_gives_the_severity_limit_and_value_of_the_highest_level(database):
    store = MemoryStore()
    service = service_of(database, [HEAT], store)
    early = [(0, T0 + s * 1000, 20.0) for s in range(60)]
    live = [(0, T0 + s * 1000, 20.0) for s in range(300, 310)]
    values = {100: 35.0, 101: 36.0, 160: 55.0, 161: 60.0, 162: 35.0}  # two spans, one alert
    late = [(0, T0 + s * 1000, values.get(s, 20.0)) for s in range(60, 300)]
    for rows in (early, live, late):
        store.write(batch_of(rows))
        service.process(batch_of(rows), T0 + 310_000)
    (event,) = service.tick(T0 + 321_000)
    alert = event.alert
    assert (event.kind, alert["severity"], alert["limit"]) == ("retrospective", "critical", 40.0)
    assert (alert["value"], alert["peak"], limit_in(alert)) == (55.0, 60.0, "40")
    assert (alert["start_ms"], alert["end_ms"]) == (T0 + 100_000, T0 + 163_000)


def test_a_pending_alert_fires_although_the_rule_was_changed_and_lost_its_memory(database):
    service = service_of(database, [rule(above=50, hold="5s")])
    feed(service, (0, 60.0), (1, 60.0))
    service.stop(T0 + 1000)
    service = service_of(database, [rule(above=55, hold="5s")], now_ms=T0 + 2000)
    feed(service, *((s, 60.0) for s in range(2, 9)))
    (alert,) = service.queries.find(AlertFilter())[0]
    assert (alert["state"], alert["start_ms"]) == ("firing", T0)
