"""The thread that runs the sessions: it owns the connection, the clock and access to the outbox."""

import contextlib
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from edge_agent.outbox import Outbox, StoredReport
from edge_agent.uplink.actions import (
    Action,
    ConfirmReports,
    Disconnect,
    Moment,
    Publish,
    Subscribe,
    death,
)
from edge_agent.uplink.births import Births
from edge_agent.uplink.description import BrokerAddress, NodeDescription, UplinkSettings
from edge_agent.uplink.mqtt_link import Accepted, Lost, MqttLink, Received, Subscribed
from edge_agent.uplink.session import Session
from edge_agent.uplink.session_states import SessionState
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger(__name__)

_FIRST_PAUSE_S = 0.5
_LAST_PAUSE_S = 30.0
_TICK_S = 1.0
_FRESH_REPORTS = 2000
"""Reports waiting to be sent live; above this number the oldest are left to the backlog."""
_CONNACK_S = 10.0
_CONGESTED_S = 3.0
"""When the connection could not take data for this time, live reports are left to the backlog."""
_READ_AGAIN_S = 0.25
"""Pause after a read that gave nothing, because the times of the samples are not known yet."""

_Task = Callable[[Session | None, Moment], list[Action]]


@dataclass(frozen=True, slots=True)
class UplinkState:
    """The state of the uplink. ``delivering``: births are out and reports flow."""

    connected: bool = False
    host_online: bool = False
    delivering: bool = False
    broker: str = ""
    since_ms: int = 0
    last_error: str | None = None
    in_flight_samples: int = 0
    messages_sent: int = 0
    retries: int = 0
    rebirths: int = 0


class Uplink:
    """Delivers the reports of the outbox to the cloud, in a thread of its own.

    Methods may be called from any thread. They do not block, except ``stop``. A session that fails
    is followed by another one; where the thread itself ends unexpectedly, ``failure`` says why.
    """

    def __init__(self, settings: UplinkSettings, outbox: Outbox, births: NodeDescription) -> None:
        self._settings = settings
        self._outbox = outbox
        self._births = Births(births, outbox, confirmed=settings.confirm == "stored")
        self._online: set[str] = set()
        self._fresh: deque[StoredReport] = deque(maxlen=_FRESH_REPORTS)
        self._tasks: deque[_Task] = deque()
        self._failure: BaseException | None = None
        self._state = UplinkState()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self._spare_bdseq: int | None = None
        self._last_online_ms = 0
        self._next_tick_s = self._clear_s = self._read_again_s = 0.0

    @property
    def state(self) -> UplinkState:
        """The present state."""
        return self._state

    @property
    def failure(self) -> BaseException | None:
        """Why the thread has ended by itself; None while it works or after ``stop``."""
        return self._failure

    def start(self) -> None:
        """Start to connect and deliver."""
        self._outbox.listen(self._on_reports)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Publish the NDEATH and disconnect."""
        self._outbox.listen(None)
        self._stopping.set()
        self._wake_up()
        if self._thread.is_alive():
            self._thread.join(timeout_s + _TICK_S)
        for end in (self._wake, self._waker):
            with contextlib.suppress(OSError):
                end.close()

    def device_online(self, device: str) -> None:
        """A device answers."""

        def do(session: Session | None, now: Moment) -> list[Action]:
            self._online.add(device)
            return session.device_online(device, now) if session is not None else []

        self._run_in_thread(do)

    def device_offline(self, device: str) -> None:
        """A device no longer answers."""

        def do(session: Session | None, now: Moment) -> list[Action]:
            self._online.discard(device)
            return session.device_offline(device, now) if session is not None else []

        self._run_in_thread(do)

    def replace_births(self, births: NodeDescription) -> None:
        """The description of the gateway changed; a birth announces it."""

        def do(session: Session | None, now: Moment) -> list[Action]:
            self._births.describe(births)
            self._online &= {d.name for d in births.devices}
            if session is None:
                return []
            return session.described(now, self._outbox.status(), self._outbox.numbers()[0])

        self._run_in_thread(do)

    def set_diagnostics(self, counters: Mapping[str, Mapping[str, int]]) -> None:
        """Replace the counters of each device; changes are published within ten seconds."""
        copy = {device: dict(counts) for device, counts in counters.items()}

        def do(session: Session | None, now: Moment) -> list[Action]:  # noqa: ARG001  # as every task
            self._births.diagnostics.set(copy)
            return []

        self._run_in_thread(do)

    # -- other threads -------------------------------------------------------------------------

    def _run_in_thread(self, do: _Task) -> None:
        self._tasks.append(do)
        self._wake_up()

    def _on_reports(self, reports: Sequence[StoredReport]) -> None:
        self._fresh.extend(reports)
        self._wake_up()

    def _wake_up(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"!")

    # -- the uplink's thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._connect_until_stopped()
        except BaseException as error:  # noqa: BLE001  # the agent ends with it
            self._failure = error
            _log.critical(
                "uplink_failed", problem=f"{type(error).__name__}: {error}", exc_info=True
            )

    def _connect_until_stopped(self) -> None:
        brokers = self._settings.brokers
        pause_s, which = _FIRST_PAUSE_S, 0
        while not self._stopping.is_set():
            try:
                served, walk_on = self._try(brokers[which % len(brokers)])
            except Exception as error:  # noqa: BLE001  # logged in full, shown by the status
                # A defect in one session must not end delivery: another session starts.
                problem = f"{type(error).__name__}: {error}"
                _log.exception("uplink_session_failed", problem=problem)
                self._note_offline(problem)
                served, walk_on = False, True
            if served:
                pause_s = _FIRST_PAUSE_S
            which += walk_on
            self._idle(pause_s * random.uniform(0.7, 1.3))
            pause_s = min(_LAST_PAUSE_S, pause_s * 2)

    def _try(self, broker: BrokerAddress) -> tuple[bool, bool]:
        """Run one session; returns whether it sent anything, and whether to try the next broker."""
        bdseq = self._take_bdseq()
        now = _now()
        will = death(self._settings.group, self._settings.gateway, bdseq, now.wall_ms)
        try:
            link = MqttLink(broker, self._settings.gateway, will, self._settings.keepalive_s)
        except (OSError, ValueError) as error:
            self._spare_bdseq = bdseq
            self._note_offline(f"{broker.host}:{broker.port}: {error}")
            return False, True
        session = Session(self._settings, self._births, bdseq, self._online, self._last_online_ms)
        try:
            reason, walk_on = self._serve(link, session, broker.url)
        except BaseException:
            link.close()  # without DISCONNECT: the broker then publishes the will
            raise
        self._last_online_ms = session.last_online_ms
        self._note_offline(reason)
        return session.messages_sent > 0, walk_on

    def _take_bdseq(self) -> int:
        """The number of the next session. A number whose CONNECT was never sent is used again."""
        spare, self._spare_bdseq = self._spare_bdseq, None
        return self._outbox.next_bdseq() if spare is None else spare

    def _idle(self, pause_s: float) -> None:
        end = time.monotonic() + pause_s
        while not self._stopping.is_set() and (left := end - time.monotonic()) > 0:
            self._stopping.wait(min(left, 0.2))
            self._drain_wake()
            self._fresh.clear()  # they are in the outbox, and the next session reads them there
            self._run_tasks(None, None)

    def _serve(self, link: MqttLink, session: Session, url: str) -> tuple[str, bool]:
        """Run a session to its end; returns why it ended, and whether to try the next broker."""
        started_s = time.monotonic()
        self._next_tick_s = started_s + _TICK_S
        self._clear_s = started_s
        self._fresh.clear()
        self._state = replace(self._state, broker=url)
        while not self._stopping.is_set():
            busy = self._wants_backlog(session, link)
            events = link.poll(0.0 if busy or self._fresh else self._wait_s(), self._wake)
            self._drain_wake()
            for event in events:
                if isinstance(event, Lost):
                    session.lost()
                    link.close()
                    return event.reason, True
                ended = self._do(self._handle(event, session), link)
                if ended is not None:
                    return self._end(link, ended)
            is_overdue = time.monotonic() - started_s > _CONNACK_S
            if session.state is SessionState.CONNECTING and is_overdue:
                session.lost()
                link.close()
                return "the broker does not answer", True
            ended = self._work(link, session)
            if ended is not None:
                return self._end(link, ended)
        self._do(session.stopped(_now()), link)
        link.finish(1.5, self._wake)
        return "stopped", False

    def _end(self, link: MqttLink, ended: Disconnect) -> tuple[str, bool]:
        link.finish(1.0, self._wake)
        return ended.reason, ended.walk_on

    def _work(self, link: MqttLink, session: Session) -> Disconnect | None:
        """Live reports first, then tasks of other threads, a stretch of backlog, and the tick."""
        now_s = time.monotonic()
        if link.is_clear:
            self._clear_s = now_s
        congested = now_s - self._clear_s > _CONGESTED_S
        ended = None
        while self._fresh and ended is None:
            reports = [self._fresh.popleft() for _ in range(len(self._fresh))]
            ended = self._do(session.measured(reports, _now(), congested=congested), link)
        ended = ended or self._run_tasks(session, link)
        wanted = session.wanted_backlog()
        if wanted is not None and self._wants_backlog(session, link) and ended is None:
            reports = self._outbox.read(*wanted)
            if not reports:
                self._read_again_s = now_s + _READ_AGAIN_S
            ended = self._do(session.backlog(reports, _now()), link)
        if time.monotonic() >= self._next_tick_s and ended is None:
            self._next_tick_s = time.monotonic() + _TICK_S
            now = _now()
            actions = session.tick(now, self._outbox.status(), self._outbox.numbers()[0])
            ended = self._do(actions, link)
            self._note_state(session)
        return ended

    def _wants_backlog(self, session: Session, link: MqttLink) -> bool:
        return (
            time.monotonic() >= self._read_again_s
            and link.is_clear
            and session.wanted_backlog() is not None
        )

    def _handle(self, event: Accepted | Subscribed | Received, session: Session) -> list[Action]:
        now = _now()
        if isinstance(event, Accepted):
            return session.connected(now)
        status, lowest = self._outbox.status(), self._outbox.numbers()[0]
        if isinstance(event, Received):
            actions = session.received(event.topic, event.payload, now, status, lowest)
        else:
            actions = session.subscribed(now, status, lowest)
        self._note_state(session)
        return actions

    def _run_tasks(self, session: Session | None, link: MqttLink | None) -> Disconnect | None:
        ended = None
        while self._tasks and ended is None:
            actions = self._tasks.popleft()(session, _now())
            if link is not None:
                ended = self._do(actions, link)
        return ended

    def _do(self, actions: Sequence[Action], link: MqttLink) -> Disconnect | None:
        for action in actions:
            if isinstance(action, Publish):
                link.publish(action)
            elif isinstance(action, ConfirmReports):
                self._outbox.confirm(action.through, _now().wall_ms)
            elif isinstance(action, Subscribe):
                link.subscribe(action.topics)
            else:
                return action
        return None

    def _wait_s(self) -> float:
        return max(0.0, min(_TICK_S, self._next_tick_s - time.monotonic()))

    def _drain_wake(self) -> None:
        with contextlib.suppress(OSError):
            while self._wake.recv(4096):
                pass

    def _note_state(self, session: Session) -> None:
        before = self._state
        delivery = session.delivery
        if session.delivering and not before.delivering:
            _log.info("uplink_delivering", broker=before.broker, bdseq=session.bdseq)
        changed = not before.connected or before.delivering != session.delivering
        self._state = UplinkState(
            True, session.host_online, session.delivering, before.broker,
            _now().wall_ms if changed else before.since_ms, None,
            delivery.in_flight if delivery else 0, session.messages_sent,
            delivery.retries if delivery else 0, session.rebirths,
        )  # fmt: skip

    def _note_offline(self, reason: str) -> None:
        if self._stopping.is_set():
            _log.info("uplink_stopped")
        elif self._state.connected or self._state.last_error != reason:
            _log.warning("uplink_offline", broker=self._state.broker, problem=reason)
        since = _now().wall_ms if self._state.connected else self._state.since_ms
        self._state = UplinkState(
            broker=self._state.broker, since_ms=since or _now().wall_ms, last_error=reason
        )


def _now() -> Moment:
    return Moment(time.monotonic(), utc_now_ms())
