"""An alert's life agrees with a plain model, whatever is repeated, acknowledged or restarted."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_ingest.alerts.operations import AlertFilter
from tests.alert_rules.models import HoldModel
from tests.cloud_ingest.alerts.parts import T0, MemoryStore, batch_of, rule, service_of, wipe

LIMITS = {"info": 50.0, "warning": 70.0, "critical": 90.0}
SEVERITIES = list(LIMITS)
RULE = rule(
    above=50, severity="info", hold="3s", clear_after="2s", refire_within="6s", gap="4s",
    levels=[{"severity": "warning", "above": 70}, {"severity": "critical", "above": 90}],
)  # fmt: skip


class AlertModel:
    """The alerts of one series as dictionaries, one sample at a time."""

    def __init__(self):
        self.levels = [HoldModel(3000, 2000, 4000) for _ in LIMITS]
        self.alerts = []
        self.rows = []

    def feed(self, time_ms, value):
        self.rows.append((time_ms, value))
        changes = [
            [change for change, _ in level.feed(time_ms, value > limit, value)]
            for level, limit in zip(self.levels, LIMITS.values(), strict=True)
        ]
        reached = max((i for i, found in enumerate(changes) if "fire" in found), default=None)
        if "fire" in changes[0]:
            self._fire(time_ms, reached)
        elif reached is not None:
            self._reach(reached)
        if "clear" in changes[0]:
            alert = self.alerts[-1]
            begin = alert["spans"][-1][0]
            alert["spans"][-1] = (begin, time_ms)
            worst = max(v for t, v in self.rows if begin <= t <= time_ms)
            alert["peak"] = max(alert["peak"], worst)

    def _fire(self, time_ms, level):
        start_ms = self.levels[0].start_ms
        last = self.alerts[-1] if self.alerts else None
        if last is None or start_ms - last["spans"][-1][1] > 6000:
            self.alerts.append({
                "fired_ms": time_ms, "spans": [], "level": -1, "acknowledged": False,
                "peak": float("-inf"), "rose": 0,
            })  # fmt: skip
        self.alerts[-1]["spans"].append((start_ms, None))
        self._reach(level)

    def _reach(self, level):
        alert = self.alerts[-1]
        alert["limit"] = list(LIMITS.values())[level]
        if level > alert["level"]:
            alert["rose"] += alert["level"] >= 0
            alert["level"], alert["acknowledged"] = level, False

    def acknowledge(self):
        if self.alerts and self.alerts[-1]["spans"][-1][1] is None:
            self.alerts[-1]["acknowledged"] = True

    def shown(self):
        return [
            {
                "spans": a["spans"], "fires": len(a["spans"]), "fired_ms": a["fired_ms"],
                "severity": SEVERITIES[a["level"]], "limit": a["limit"], "rose": a["rose"],
                "state": "resolved" if a["spans"][-1][1] is not None
                else "acknowledged" if a["acknowledged"] else "firing",
                "peak": a["peak"] if a["spans"][-1][1] is not None else None,
            }
            for a in self.alerts
        ]  # fmt: skip


def found_alerts(service):
    items, _ = service.queries.find(
        AlertFilter(states=["firing", "acknowledged", "resolved"]), 1000
    )
    return [
        {
            "spans": [tuple(span) for span in a["spans"]], "fires": a["fires"],
            "fired_ms": a["fired_ms"], "severity": a["severity"], "limit": a["limit"],
            "rose": [h["kind"] for h in a["history"]].count("rose"), "state": a["state"],
            "peak": a["peak"] if a["state"] == "resolved" else None,
        }
        for a in sorted(items, key=lambda a: a["start_ms"])
    ]  # fmt: skip


def acknowledge(service, model):
    for alert in service.queries.find(AlertFilter(states=["firing"]))[0]:
        service.commands.acknowledge(alert["id"], "An")
    model.acknowledge()


episodes = st.lists(
    st.tuples(
        st.sampled_from([40.0, 60.0, 80.0, 95.0]),
        st.integers(1, 6),  # samples
        st.sampled_from([1000, 1000, 1000, 2000, 9000]),  # the first of which comes so much later
    ),
    min_size=3,
    max_size=14,
)
ACTIONS = ("go on", "repeat", "acknowledge", "restart", "crash", "crash before judging")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(episodes=episodes, actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=12),
       portion=st.integers(1, 6))  # fmt: skip
def test_an_alert_agrees_with_the_model_whatever_is_repeated_or_restarted(
    database, episodes, actions, portion
):
    wipe(database)
    rows, time_ms = [], T0
    for value, count, pause_ms in episodes:
        for number in range(count):
            time_ms += 1000 if number else pause_ms
            rows.append((0, time_ms, value))
    store, model = MemoryStore(), AlertModel()
    service = service_of(database, [RULE], store)
    for number, begin in enumerate(range(0, len(rows), portion)):
        part = batch_of(rows[begin : begin + portion])
        now_ms = int(part.time_ms[-1])
        action = actions[number % len(actions)]
        store.write(part)
        if action != "crash before judging":
            service.process(part, now_ms)
        if action == "repeat":
            service.process(part, now_ms)
        if action == "restart":
            service.stop(now_ms)
        if action in ("restart", "crash", "crash before judging"):
            service = service_of(database, [RULE], store, now_ms=now_ms)
            service.process(part, now_ms)
        service.tick(now_ms)
        for _, t, value in rows[begin : begin + portion]:
            model.feed(t, value)
        if action == "acknowledge":
            acknowledge(service, model)
        assert found_alerts(service) == model.shown()
    # late data that the repetitions caused must not change anything either
    for _ in range(3):
        now_ms += 20_000
        service.tick(now_ms)
    assert found_alerts(service) == model.shown()
