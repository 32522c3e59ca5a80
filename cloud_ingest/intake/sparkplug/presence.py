"""Who is there: online and offline, lost messages, requests to introduce oneself again."""

from collections.abc import Iterable
from dataclasses import replace

from cloud_ingest.intake.context import Context
from cloud_ingest.intake.sparkplug.rebirth_limiter import RebirthLimiter
from cloud_ingest.intake.sparkplug.sessions import DeviceSession, NodeSession
from cloud_ingest.intake.work import Event, Rebirth, Transition
from telemetry.series import NODE_DEVICE

GRACE_MS = 60_000
"""How long after its own absence the host waits before it believes a gateway gone."""
ASK_AFTER_MS = 5_000


class Presence:
    """The state of gateways and devices; no I/O, the time is passed in."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rebirths = RebirthLimiter(context.limits.rebirths_per_s)
        self._reorder_ms = int(context.limits.reorder_timeout_s * 1000)
        self._stale: dict[str, int] = {}
        self._silences: dict[str, tuple[str, int]] = {}

    # --- lost messages

    def count_sequence(self, session: NodeSession, seq: int | None, now_ms: int) -> None:
        """Note the sequence number of a message."""
        if session.sequence.take(seq, now_ms, self._reorder_ms):
            self._context.inventory.count_gateway(session.gateway, "sequence_gaps")

    def ask_rebirth(self, session: NodeSession, now_ms: int, reason: str) -> None:
        """Ask a gateway to introduce itself again, if it was not asked just now."""
        if not self._rebirths.allow(session.gateway, now_ms):
            return
        work = self._context.work
        work.rebirths.append(Rebirth(session.group, session.gateway))
        self._context.inventory.count_gateway(session.gateway, "rebirths_asked")
        text = f"asked: {reason}"
        work.events.append(Event(now_ms, "rebirth", session.group, session.gateway, None, text))

    def resync(self, gateways: Iterable[str]) -> None:
        """Messages of these gateways were left out on purpose."""
        for name in gateways:
            session = self._context.sessions.get(name)
            if session is not None:
                session.sequence.resync()

    # --- states

    def set_gateway(self, group: str, gateway: str, *, online: bool, now_ms: int) -> None:
        """A gateway is (or is no longer) there."""
        inventory = self._context.inventory
        known = inventory.gateway(gateway)
        if known is not None and known.online != online:
            inventory.update_gateway(gateway, online=online, since_ms=now_ms)
            self._tell(group, gateway, None, online, now_ms)

    def set_device(
        self, group: str, gateway: str, device: str, *, online: bool, now_ms: int
    ) -> None:
        """A device is (or is no longer) there."""
        inventory = self._context.inventory
        known = inventory.device(gateway, device)
        if known is not None and known.online != online:
            inventory.update_device(gateway, device, online=online, since_ms=now_ms)
            self._tell(group, gateway, device, online, now_ms)

    def end(self, group: str, gateway: str, now_ms: int) -> None:
        """A gateway is gone, and with it all of its devices."""
        for device in self._context.inventory.devices_of(gateway):
            self.set_device(group, gateway, device.name, online=False, now_ms=now_ms)
        self.set_gateway(group, gateway, online=False, now_ms=now_ms)

    def _tell(
        self, group: str, gateway: str, device: str | None, online: bool, now_ms: int
    ) -> None:
        work = self._context.work
        work.transitions.append(Transition(group, gateway, device, online, now_ms))
        state = "online" if online else "offline"
        who = gateway if device is None else f"{gateway}/{device}"
        kind = state if device is None else f"device_{state}"
        event = Event(now_ms, "online", group, gateway, device, f"{who} is {state}")
        work.events.append(replace(event, kind=kind))  # type: ignore[arg-type]  # one of four

    # --- silence

    def heard_of(self, gateway: str) -> None:
        """A gateway introduced itself: nothing is doubtful about it."""
        self._stale.pop(gateway, None)

    def expect(self, group: str, gateway: str, within_ms: int, now_ms: int) -> None:
        """A gateway without births and deaths was heard: it is offline if it is silent too long."""
        self._silences[gateway] = (group, now_ms + within_ms)

    def mark_all_stale(self, now_ms: int) -> None:
        """The host was away: what it believes of each gateway may be out of date.

        Those that stay silent are asked to introduce themselves, and are offline after a minute.
        """
        for session in self._context.sessions.values():
            session.sequence.resync()
        for gateway in self._context.inventory.gateways():
            if gateway.online:
                self._stale[gateway.id] = now_ms

    def tick(self, now_ms: int) -> None:
        """Do what is due: reorder time-outs, devices that were not born again, silent gateways."""
        for session in self._context.sessions.values():
            if session.sequence.deadline_ms is not None and session.sequence.lapsed(now_ms):
                self.ask_rebirth(session, now_ms, "messages were lost on the way")
            if session.awaited and now_ms >= (session.awaited_until_ms or 0):
                for name in session.awaited:
                    self.set_device(
                        session.group, session.gateway, name, online=False, now_ms=now_ms
                    )
                session.awaited = frozenset()
        for name, since_ms in list(self._stale.items()):
            self._question(name, since_ms, now_ms)
        for name, (group, until_ms) in list(self._silences.items()):
            if now_ms > until_ms:
                del self._silences[name]
                self.end(group, name, now_ms)

    def _question(self, name: str, since_ms: int, now_ms: int) -> None:
        gateway = self._context.inventory.gateway(name)
        if gateway is None or (gateway.last_seen_ms or 0) > since_ms:
            del self._stale[name]
            return
        sessions = self._context.sessions
        session = sessions.setdefault(
            name, NodeSession(gateway.group, name, DeviceSession(NODE_DEVICE))
        )
        if now_ms - since_ms > GRACE_MS:
            del self._stale[name]
            session.born = False
            self.end(gateway.group, name, now_ms)
        elif now_ms - since_ms > ASK_AFTER_MS:
            self.ask_rebirth(session, now_ms, "nothing heard since the host came back")
