"""The contract of an uplink session, held by random sequences of events against a plain model."""

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from edge_agent.outbox import OutboxStatus, StoredReport
from edge_agent.outbox.sqlite.row_format import Shape
from edge_agent.uplink import BrokerAddress, DeviceDescription, MetricDescription, NodeDescription
from edge_agent.uplink.actions import Action, ConfirmReports, Disconnect, Moment, Publish, Subscribe
from edge_agent.uplink.births import Births
from edge_agent.uplink.description import UplinkSettings
from edge_agent.uplink.session import Session
from edge_agent.uplink.session_states import (
    TRANSITIONS,
    SessionEvent,
    SessionState,
    SessionStates,
    WrongOrderError,
)
from telemetry.sparkplug import DataType, Metric, Payload, decode, encode, names
from telemetry.sparkplug.topics import parse_topic
from telemetry.time.clock import utc_now_ms

BDSEQ = 7
METRICS = ("m0", "m1")
NODE_METRICS = (MetricDescription("load", "status", "1"),)
NOW_MS = utc_now_ms()


class FakeOutbox:
    """Batch numbers, rows and aliases, in memory."""

    def __init__(self, backlog: int) -> None:
        self.ready = True
        self.numbering = 1
        self.lowest = 1
        self.rows: dict[int, StoredReport] = {}
        self.known: dict[tuple[str, str], int] = {}
        self.shapes: dict[tuple[str | None, tuple[int, ...]], Shape] = {}
        for i in range(backlog):
            self.commit(("a", "b", "gone")[i % 3])

    @property
    def next_batch(self) -> int:
        return max(self.rows, default=self.lowest - 1) + 1

    def commit(self, device: str | None, more: tuple[str, ...] = ()) -> StoredReport:
        wanted = (("load",) if device is None else METRICS) + more
        aliases = tuple(self.aliases(device, wanted).values())
        shape = self.shapes.setdefault(
            (device, aliases), Shape(len(self.shapes) + 1, device, aliases)
        )
        batch = self.next_batch
        data = struct.pack(f"<{len(aliases)}d", *range(len(aliases)))
        row = StoredReport(batch, shape, NOW_MS + batch, len(aliases), data)
        self.rows[batch] = row
        return row

    def status(self) -> OutboxStatus:
        held = [r for n, r in self.rows.items() if n >= self.lowest]
        oldest = held[0].time_ms if held else None
        return OutboxStatus(
            sum(r.count for r in held), oldest, self.next_batch, self.lowest - 1, 0, 0, None,
            ready=self.ready, numbering=self.numbering,
        )  # fmt: skip

    def read(self, after: int, samples: int) -> list[StoredReport]:
        rows = [r for n, r in sorted(self.rows.items()) if n > max(after, self.lowest - 1)]
        return rows[: max(1, samples // 2)]

    # births.AliasSource

    def aliases(self, device: str | None, names: tuple[str, ...] | list[str]) -> dict[str, int]:
        known = self.known
        return {n: known.setdefault((device or "", n), len(known) + 1) for n in names}

    def needed_metrics(self, device: str | None) -> dict[str, int]:
        return {n: a for (d, n), a in self.known.items() if d == (device or "")}

    def retire_all_but(self, present: dict[str, list[str]]) -> None:
        pass


def describe(*devices: str) -> NodeDescription:
    metrics = tuple(MetricDescription(m, "laeq", "dB[A]", 1000) for m in METRICS)
    return NodeDescription(
        tuple(DeviceDescription(d, metrics) for d in devices), metrics=NODE_METRICS
    )


@dataclass
class Wire:
    """Checks each published message against the guarantees in ``session_states``."""

    seq: int | None = None
    node: set[int] = field(default_factory=set)
    by_name: set[str | None] = field(default_factory=set)
    born: dict[str, set[int]] = field(default_factory=dict)
    sent: set[int] = field(default_factory=set)
    ended: bool = False

    def publish(self, message: Publish, *, host_online: bool) -> None:
        topic, payload = parse_topic(message.topic), decode(message.payload)
        assert not self.ended, f"{topic} after the death certificate"
        if topic.type == "NDEATH":
            self._death(message, payload)
            return
        assert host_online, f"{topic} while the host is offline"
        if topic.type == "NBIRTH":
            assert payload.seq == 0
            assert {m.name: m.value for m in payload.metrics}[names.BDSEQ] == BDSEQ
            self.node = {m.alias for m in payload.metrics if m.alias is not None}
            self.by_name = {m.name for m in payload.metrics}
            self.born.clear()
        else:
            assert self.seq is not None, f"{topic} before the NBIRTH"
            assert payload.seq == (self.seq + 1) % 256, "the sequence has a hole"
            self._after_birth(topic.type, topic.device, payload)
        self.seq = payload.seq

    def _death(self, message: Publish, payload: Payload) -> None:
        assert self.seq is not None, "a death certificate without a birth"
        assert payload.seq is None
        assert [(m.name, m.value) for m in payload.metrics] == [(names.BDSEQ, BDSEQ)]
        assert message.qos == 1
        self.ended = True

    def _after_birth(self, kind: str, device: str | None, payload: Payload) -> None:
        aliases = {m.alias for m in payload.metrics if m.alias is not None}
        if kind == "DBIRTH":
            assert device is not None
            self.born[device] = aliases
        elif kind == "NDATA":
            assert aliases <= self.node, "the NBIRTH did not name it"
            assert {m.name for m in payload.metrics if m.alias is None} <= self.by_name
        else:
            assert device in self.born, f"{kind} of {device}, which is not born"
            if kind == "DDEATH":
                del self.born[device]
            else:
                assert aliases <= self.born[device], "the DBIRTH did not name it"


class Gateway:
    """Drives a session as the uplink does, and knows in which order events are legal."""

    def __init__(self, *, backlog: int, host: str | None, confirm: str, brokers: int) -> None:
        self.outbox = FakeOutbox(backlog)
        stored = confirm == "stored"
        self.births = Births(describe("a", "b"), self.outbox, confirmed=stored)
        url = BrokerAddress("mqtt://localhost")
        self.settings = UplinkSettings("g", "gw", (url,) * brokers, host, confirm)  # type: ignore[arg-type]
        self.session = Session(self.settings, self.births, BDSEQ, {"a"})
        self.wire = Wire()
        self.now_s = 100.0
        self.host_ms = NOW_MS
        self.committed: list[StoredReport] = []

    @property
    def now(self) -> Moment:
        return Moment(self.now_s, NOW_MS + round(self.now_s * 1000))

    def apply(self, step: str, number: int) -> None:
        """One event. Where the table does not allow it, it must raise and change nothing."""
        event = EVENT_OF[step]
        before = self.session.state
        actions: list[Action]
        if event is not None and event not in TRANSITIONS[before]:
            with pytest.raises(WrongOrderError):
                getattr(self, step)(number)
            assert self.session.state is before
            return
        actions = getattr(self, step)(number)
        self.check(actions)
        if event is not None:
            assert self.session.state in TRANSITIONS[before][event]

    def check(self, actions: list[Action]) -> None:
        for i, action in enumerate(actions):
            if isinstance(action, Publish):
                online = self.session.host_online
                self.wire.publish(action, host_online=online)
            elif isinstance(action, ConfirmReports):
                assert action.through < self.outbox.next_batch
                self.outbox.lowest = max(self.outbox.lowest, action.through + 1)
            elif isinstance(action, Disconnect):
                assert i == len(actions) - 1
                assert self.session.state is SessionState.ENDED
        if self.wire.ended:
            assert self.session.state is SessionState.ENDED
        if self.session.state is SessionState.DELIVERING:
            assert self.wire.seq is not None
        if any(isinstance(a, Subscribe) for a in actions):
            assert self.session.state in (
                SessionState.SUBSCRIBING,
                SessionState.DELIVERING,
                SessionState.ENDED,
            )

    # Events, each as the uplink hands it over

    def connected(self, _: int) -> list[Action]:
        return self.session.connected(self.now)

    def subscribed(self, _: int) -> list[Action]:
        return self.session.subscribed(self.now, self.outbox.status(), self.outbox.lowest)

    def _received(self, topic: str, payload: bytes) -> list[Action]:
        return self.session.received(
            topic, payload, self.now, self.outbox.status(), self.outbox.lowest
        )

    def host_on(self, _: int) -> list[Action]:
        self.host_ms += 1
        text = f'{{"online": true, "timestamp": {self.host_ms}}}'
        return self._received("spBv1.0/STATE/quantrac", text.encode())

    def host_off(self, _: int) -> list[Action]:
        text = f'{{"online": false, "timestamp": {self.host_ms}}}'
        return self._received("spBv1.0/STATE/quantrac", text.encode())

    def host_garbage(self, number: int) -> list[Action]:
        texts = (b"", b"{}", b"\xff", b"[1]", b'{"online": 1, "timestamp": 5}')
        return self._received("spBv1.0/STATE/quantrac", texts[number % len(texts)])

    def _command(self, metric: Metric) -> list[Action]:
        payload = encode(Payload(self.now.wall_ms, (metric,)))
        return self._received(self.settings.command_topic, payload)

    def rebirth(self, number: int) -> list[Action]:
        return self._command(Metric(names.REBIRTH, None, NOW_MS, DataType.BOOLEAN, number % 4 != 0))

    def acknowledge(self, number: int) -> list[Action]:
        through = self.outbox.next_batch - 1 - number % 7
        value = 2**63 if number % 13 == 12 else max(0, through)
        return self._command(Metric(names.ACK_THROUGH, None, NOW_MS, DataType.UINT64, value))

    def device_on(self, number: int) -> list[Action]:
        return self.session.device_online("ab"[number % 2], self.now)

    def device_off(self, number: int) -> list[Action]:
        return self.session.device_offline("ab"[number % 2], self.now)

    def describe(self, number: int) -> list[Action]:
        self.births.describe(describe(*"ab"[: number % 3]))
        return self.session.described(self.now, self.outbox.status(), self.outbox.lowest)

    def commit(self, number: int) -> list[Action]:
        """A report is durable; it is handed over with a later one, or never."""
        more = (f"more{number % 2}",) if number % 3 == 2 else ()  # not in the description
        self.committed.append(self.outbox.commit(("a", "b", None, "new")[number % 4], more))
        return []

    def measure(self, number: int) -> list[Action]:
        self.commit(number)
        reports, self.committed = self.committed, []
        return self.session.measured(reports, self.now, congested=number % 7 == 6)

    def backlog(self, _: int) -> list[Action]:
        wanted = self.session.wanted_backlog()
        reports = [] if wanted is None else self.outbox.read(*wanted)
        return self.session.backlog(reports, self.now)

    def tick(self, number: int) -> list[Action]:
        self.now_s += (0.2, 1.0, 3.0, 6.0, 20.0)[number % 5]
        return self.session.tick(self.now, self.outbox.status(), self.outbox.lowest)

    def unready(self, number: int) -> list[Action]:
        self.outbox.ready = number % 2 == 0
        return []

    def renumber(self, _: int) -> list[Action]:
        self.outbox.numbering += 1
        return []

    def evict(self, number: int) -> list[Action]:
        self.outbox.lowest = min(self.outbox.next_batch, self.outbox.lowest + number % 5)
        return []

    def stopped(self, _: int) -> list[Action]:
        return self.session.stopped(self.now)

    def lost(self, _: int) -> list[Action]:
        self.session.lost()
        return []


EVENT_OF: dict[str, SessionEvent | None] = {
    "connected": SessionEvent.CONNECTED,
    "subscribed": SessionEvent.SUBSCRIBED,
    "host_on": SessionEvent.HOST_ONLINE,
    "host_off": SessionEvent.HOST_OFFLINE,
    "host_garbage": None,
    "rebirth": SessionEvent.COMMAND,
    "acknowledge": SessionEvent.COMMAND,
    "device_on": SessionEvent.DEVICE_CHANGED,
    "device_off": SessionEvent.DEVICE_CHANGED,
    "describe": SessionEvent.DEVICE_CHANGED,
    "commit": None,
    "measure": SessionEvent.MEASURED,
    "backlog": SessionEvent.BACKLOG,
    "tick": SessionEvent.TICK,
    "unready": None,
    "renumber": None,
    "evict": None,
    "stopped": SessionEvent.STOPPED,
    "lost": SessionEvent.LOST,
}
USUAL = ("host_on", "measure", "backlog", "tick", "acknowledge", "device_on", "device_off",
         "describe", "rebirth", "unready", "evict")  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from([*EVENT_OF, *USUAL, *USUAL]), st.integers(0, 100)),
    min_size=15,
    max_size=80,
)


@given(
    STEPS,
    st.integers(0, 20),
    st.sampled_from([None, "quantrac"]),
    st.sampled_from(["stored", "standard"]),
    st.integers(1, 2),
    st.sampled_from([True, True, True, False]),
)
@settings(max_examples=400)
def test_no_sequence_of_events_breaks_the_contract(
    steps: list[tuple[str, int]],
    backlog: int,
    host: str | None,
    confirm: str,
    brokers: int,
    begun: bool,
) -> None:
    gateway = Gateway(backlog=backlog, host=host, confirm=confirm, brokers=brokers)
    opening = ["connected", "subscribed", *(["host_on"] if host else [])] if begun else []
    for step, number in [*((s, 0) for s in opening), *steps]:
        if step in ("host_on", "host_off", "host_garbage") and host is None:
            continue
        gateway.apply(step, number)


ILLEGAL = [(s, e) for s in SessionState for e in SessionEvent if e not in TRANSITIONS[s]]


@pytest.mark.parametrize(("state", "event"), ILLEGAL, ids=lambda v: v.name)
def test_an_event_in_the_wrong_order_raises(state: SessionState, event: SessionEvent) -> None:
    states = SessionStates()
    states.now = state
    with pytest.raises(WrongOrderError, match=f"{event.name} in state {state.name}"):
        states.accept(event)


def test_a_state_is_only_left_as_the_table_says() -> None:
    states = SessionStates()
    states.accept(SessionEvent.CONNECTED)
    with pytest.raises(WrongOrderError):
        states.become(SessionState.DELIVERING)
    states.become(SessionState.SUBSCRIBING)


def test_the_order_of_a_whole_session() -> None:
    gateway = Gateway(backlog=3, host="quantrac", confirm="stored", brokers=1)
    gateway.outbox.ready = False
    seen = [gateway.session.state]
    for step in ("connected", "subscribed", "host_on", "tick"):
        gateway.apply(step, 0)
        seen.append(gateway.session.state)
    gateway.outbox.ready = True
    gateway.apply("tick", 0)
    seen.append(gateway.session.state)
    gateway.apply("backlog", 0)
    assert set(gateway.wire.born) == {"a", "b", "gone"}
    gateway.apply("host_off", 0)
    assert gateway.wire.ended, "the death certificate is the last message"
    assert [*seen, gateway.session.state] == [
        SessionState.CONNECTING, SessionState.SUBSCRIBING, SessionState.WAITING_FOR_HOST,
        SessionState.WAITING_FOR_NUMBERS, SessionState.WAITING_FOR_NUMBERS,
        SessionState.DELIVERING, SessionState.ENDED,
    ]  # fmt: skip


def test_a_slow_broker_is_not_left_for_want_of_a_host_before_it_has_accepted() -> None:
    gateway = Gateway(backlog=0, host="quantrac", confirm="stored", brokers=2)
    gateway.apply("tick", 4)
    assert gateway.session.state is SessionState.CONNECTING
    gateway.apply("connected", 0)
    gateway.apply("tick", 2)
    assert gateway.session.state is SessionState.SUBSCRIBING
    gateway.apply("tick", 2)
    assert gateway.session.state is SessionState.ENDED, "the other broker may have the host"


def test_an_acknowledgement_beyond_the_numbers_of_the_outbox_is_refused_and_logged() -> None:
    gateway = Gateway(backlog=3, host="quantrac", confirm="stored", brokers=1)
    for step in ("connected", "subscribed", "host_on"):
        gateway.apply(step, 0)
    next_batch = gateway.outbox.next_batch
    with capture_logs() as logs:
        assert gateway.acknowledge(12) == [], "2**63 was never measured"
    assert logs == [
        {
            "event": "acknowledgement_refused", "log_level": "warning", "through": 2**63,
            "next_batch": next_batch,
        }
    ]  # fmt: skip
    with capture_logs() as logs:
        assert gateway.acknowledge(0) == [ConfirmReports(next_batch - 1)], (
            "an earlier session sent these"
        )
    assert logs == []
