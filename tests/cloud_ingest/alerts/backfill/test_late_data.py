"""Data that comes late is judged by rules of every kind as it would have been, and wakes nobody."""

import math
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloud_ingest.alerts.backtest.replay import Replay, history
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.detection import LayeredDetector
from tests.alert_rules.models import HoldModel
from tests.cloud_ingest.alerts.parts import (
    T0,
    MemoryStore,
    batch_of,
    rule,
    series,
    service_of,
    wipe,
)

FIELD = [
    series(0),
    series(1, "down"),
    series(2, metric="wind_direction"),
    series(3, "far", gateway="h", station="t"),
]
DIFFERENCE = rule("difference", id="gain", select={"device": "down"}, minus={"device": "d", "metric": "pm2_5"},
                  match="station", step="10s", above=20)  # fmt: skip
PM = rule(id="pm", above=50, alert=False, select={"quantity": "pm2_5", "device": "d"})
WIND = rule(id="wind", between=[80, 100], alert=False, circular=True,
            select={"quantity": "wind_direction"})  # fmt: skip
FACTORY = rule("composite", id="factory", hold="30s", when={"all": ["test/pm", "test/wind"]})
RULES = [DIFFERENCE, PM, WIND, FACTORY]


def values_at(second):
    """An upstream and a downstream sensor, and the wind: an episode from 300 to 500."""
    episode = 300 <= second < 500
    return 60.0 if episode else 40.0, 90.0 if episode else 45.0, 90.0 if episode else 180.0


def rows_of(begin, end, which=(0, 1, 2)):
    return [(i, T0 + s * 1000, values_at(s)[i]) for s in range(begin, end) for i in which]


def bring(service, store, rows, now_ms):
    """Samples as a pipeline brings them: a few seconds in a batch."""
    told = []
    rows = sorted(rows, key=lambda r: r[1])
    for begin in range(0, len(rows), 30):
        part = batch_of(rows[begin : begin + 30])
        store.write(part)
        told += service.process(part, now_ms or int(part.time_ms.max()))
    return told


def settle(service, now_ms, turns=400):
    told = []
    for n in range(turns):
        told += service.tick(now_ms + 20_000 + n * 1100)
    return told


def alerts_of(service):
    found = service.queries.find(AlertFilter(), 100)[0]
    return sorted((a["rule"], a["series"], a["start_ms"] - T0, a["end_ms"] - T0) for a in found)


@pytest.fixture
def live(database):
    """What the rules say when everything comes in time."""
    store = MemoryStore()
    service = service_of(database, RULES, store, known=FIELD)
    bring(service, store, rows_of(0, 900), None)
    found = alerts_of(service)
    assert [a[0] for a in found] == ["test/factory", "test/gain"]
    with database.engine.begin() as connection:
        for table in (
            "notifications",
            "alert_history",
            "alert_spans",
            "alerts",
            "rule_checkpoints",
        ):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    return found


@pytest.mark.parametrize(
    "late", [(0, 1, 2), (0, 2), (1,)], ids=["all", "upstream and wind", "downstream"]
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_rules_over_several_series_find_in_late_data_what_they_would_have_found(
    live, database, late
):
    store = MemoryStore()
    service = service_of(database, RULES, store, known=FIELD)
    punctual = tuple(i for i in (0, 1, 2) if i not in late)
    now_ms = T0 + 900_000
    in_time = rows_of(0, 200) + rows_of(200, 700, punctual) + rows_of(700, 900)
    bring(service, store, in_time, None)
    assert bring(service, store, rows_of(200, 700, late), now_ms) == []
    assert {e.kind for e in settle(service, now_ms)} == {"retrospective"}
    found = alerts_of(service)
    assert [a[:2] for a in found] == [a[:2] for a in live]
    for (_, _, start, end), (_, _, wanted_start, wanted_end) in zip(found, live, strict=True):
        assert abs(start - wanted_start) <= 10_000
        assert abs(end - wanted_end) <= 40_000
    assert settle(service, now_ms + 10**6) == []


def minute_rows(begin, end, odd=lambda _: False):
    """A day has its shape; ``odd`` minutes stand far above it."""
    return [
        (0, T0 + m * 60_000, 30 + 8 * math.sin(m / 1440 * 2 * math.pi) + (m * 7919 % 13) / 4
         + (60 if odd(m) else 0))
        for m in range(begin, end)
    ]  # fmt: skip


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_anomaly_is_found_in_late_data_with_its_explanation(database):
    store = MemoryStore()
    unusual = rule("anomaly", id="odd", about="value", alerts_per_month=1)
    minutely = [series(0)]
    service = service_of(database, [unusual], store, known=minutely, detector=LayeredDetector(),
                         station_name=lambda _: "Thủ Dầu Một")  # fmt: skip
    day = 1440
    early, live = minute_rows(0, 3 * day), minute_rows(4 * day, 4 * day + 30)
    late = minute_rows(3 * day, 4 * day, odd=lambda m: 3 * day + 600 <= m < 3 * day + 640)
    now_ms = T0 + (4 * day + 30) * 60_000
    store.write(batch_of(early))  # was judged by an earlier run of the service
    service.process(batch_of(live), now_ms)
    store.write(batch_of(late + live))
    assert service.process(batch_of(late), now_ms) == []
    told = settle(service, now_ms)
    assert [e.kind for e in told] == ["retrospective"]
    (alert,) = service.queries.find(AlertFilter())[0]
    assert abs(alert["start_ms"] - (T0 + (3 * day + 600) * 60_000)) < 10 * 60_000
    assert "Thủ Dầu Một" in alert["text"]["en"]
    assert alert["peak"] > 80


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_count_over_a_day_sees_the_whole_day_around_late_data(database):
    hours, hour = range(60), 3_600_000
    ten = rule("count", above=50, count=10, completeness=0)
    first_ms = T0 // hour * hour
    rows = [
        (0, first_ms + h * hour + m * 60_000, 60.0 if 12 <= h < 22 else 40.0)
        for h in hours
        for m in range(60)
    ]
    late = rows[21 * 60 : 22 * 60]
    service = service_of(database, [ten], MemoryStore())
    bring(service, MemoryStore(), rows, None)
    expected = alerts_of(service)
    assert len(expected) == 1
    wipe(database)
    store = MemoryStore()
    service = service_of(database, [ten], store)
    assert bring(service, store, [r for r in rows if r not in late], None) == []
    now_ms = rows[-1][1]
    bring(service, store, late, now_ms)
    assert [e.kind for e in settle(service, now_ms, turns=5)] == ["retrospective"]
    assert alerts_of(service) == expected


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_a_crash_interrupts_is_judged_again_and_told_once(database, live, monkeypatch):
    store = MemoryStore()
    service = service_of(database, RULES, store, known=FIELD)
    now_ms = T0 + 900_000
    bring(service, store, rows_of(0, 200) + rows_of(700, 900), None)
    bring(service, store, rows_of(200, 700), now_ms)
    monkeypatch.setattr("cloud_ingest.alerts.backfill.late_data.TURN_S", -1.0)  # one step a turn
    told = settle(service, now_ms, turns=10)  # and then it dies
    again = service_of(database, RULES, store, known=FIELD, now_ms=now_ms + 60_000)
    told += settle(again, now_ms + 60_000, turns=200)
    assert [a[:2] for a in alerts_of(again)] == [a[:2] for a in live]
    assert len(told) == len(live)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_store_that_is_away_delays_the_judgement_and_loses_none(database, live):
    class Shaky(MemoryStore):
        fails = 3

        def read_many(self, wanted, *args, **more):
            if self.fails:
                self.fails -= 1
                raise ConnectionError("away")
            return super().read_many(wanted, *args, **more)

    store = Shaky()
    service = service_of(database, RULES, store, known=FIELD)
    now_ms = T0 + 900_000
    bring(service, store, rows_of(0, 200) + rows_of(700, 900), None)
    bring(service, store, rows_of(200, 700), now_ms)
    failures = 0
    for n in range(60):
        try:
            service.tick(now_ms + 20_000 + n * 1100)
        except ConnectionError:
            failures += 1
    assert failures == 3
    assert [a[:2] for a in alerts_of(service)] == [a[:2] for a in live]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_more_late_data_during_the_judgement_is_judged_as_well(database, monkeypatch):
    store = MemoryStore()
    service = service_of(database, [rule(above=50)], store)
    bring(service, store, rows_of(0, 10, (0,)) + rows_of(800, 900, (0,)), None)
    monkeypatch.setattr("cloud_ingest.alerts.backfill.late_data.TURN_S", -1.0)
    now_ms = T0 + 900_000
    bring(service, store, rows_of(100, 200, (0,)), now_ms)
    service.tick(now_ms + 20_000)
    bring(service, store, rows_of(200, 700, (0,)), now_ms + 20_500)
    told = settle(service, now_ms + 20_500)
    assert [e.kind for e in told] == ["retrospective"]


def test_a_backtest_sees_series_side_by_side_however_many_samples_they_have(live):
    """Samples come a series at a time, 30,000 each: more than is judged at once."""
    store = MemoryStore()
    store.write(batch_of(rows_of(0, 30_000)))
    replay = Replay(RULES, FIELD[:3])
    for batch in history(store, FIELD[:3], T0, T0 + 10**8):
        replay.feed(batch)
    found = replay.finish().exceedances
    told = sorted((e.rule, e.series, e.start_ms - T0) for e in found if e.rule != "test/pm")
    assert [t for t in told if t[0] != "test/wind"] == [a[:3] for a in live]


def test_a_run_of_the_past_has_the_severity_that_it_rose_to(database):
    store = MemoryStore()
    levels = [{"severity": "critical", "above": 80}]
    service = service_of(database, [rule(above=50, levels=levels)], store)
    value = [40.0] * 20 + [60.0] * 20 + [90.0] * 20 + [60.0] * 20 + [40.0] * 20
    rows = [(0, T0 + s * 1000, v) for s, v in enumerate(value)]
    bring(service, store, rows[:10] + rows[-10:], None)
    bring(service, store, rows[10:-10], T0 + 100_000)
    (event,) = settle(service, T0 + 100_000, turns=3)
    assert (event.alert["severity"], event.alert["peak"]) == ("critical", 90.0)
    assert (event.alert["start_ms"] - T0, event.alert["end_ms"] - T0) == (20_000, 80_000)


HOLD = rule(above=50, hold="3s", clear_after="2s", refire_within="0s", gap="4s")


def model_runs(on, late=range(0)):
    """The runs (start, end) that a plain model fires for, without the late seconds."""
    model, runs = HoldModel(3000, 2000, 4000), []
    for second, is_on in enumerate(on):
        if second in late:
            continue
        for change, at in model.feed(T0 + second * 1000, is_on, 60.0 if is_on else 40.0):
            if change == "fire":
                runs.append([model.start_ms, None])
            elif change == "clear":
                runs[-1][1] = at
    return [(a, b if b is not None else T0 + len(on) * 1000) for a, b in runs]


@settings(max_examples=60)
@given(
    on=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=3, max_size=14),
    window=st.tuples(st.integers(0, 60), st.integers(1, 40)),
    restart=st.booleans(),
    repeat=st.booleans(),
)
@example(  # the late second contradicts a run that fired without it
    on=[(3, False), (1, True), (1, False), (2, True)], window=(4, 1), restart=False, repeat=False
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_whatever_comes_late_every_run_has_one_alert_and_none_is_made_up(
    database, on, window, restart, repeat
):
    wipe(database)
    state = [is_on for length, is_on in on for _ in range(length)] + [False] * 5
    rows = [(0, T0 + s * 1000, 60.0 if o else 40.0) for s, o in enumerate(state)]
    first, last = window[0] % len(rows), window[0] % len(rows) + window[1]
    late, live = rows[first:last], rows[:first] + rows[last:]
    store = MemoryStore()
    service = service_of(database, [HOLD], store)
    bring(service, store, live, None)
    now_ms = T0 + len(rows) * 1000
    bring(service, store, late, now_ms)
    if repeat:
        bring(service, store, late, now_ms)
    if restart:
        service.stop(now_ms)
        service = service_of(database, [HOLD], store, now_ms=now_ms)
    settle(service, now_ms, turns=5)
    alerts = service.queries.find(AlertFilter(states=["firing", "resolved"]), 100)[0]
    spans = sorted((a["start_ms"], a["end_ms"] or now_ms) for a in alerts)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    runs = model_runs(state)
    for start, end in runs:
        assert any(a < end and b > start for a, b in spans), "a run without an alert"
    # What fired before the late samples came stays in the history, even if they contradict it.
    fired = runs + model_runs(state, range(first, last))
    for start, end in spans:
        assert any(a < end and b > start for a, b in fired), "an alert of nothing"
