"""Online and offline states, lost messages, and requests for a rebirth."""

from collections.abc import Iterable
from dataclasses import replace

from cloud_ingest.intake.context import Context
from cloud_ingest.intake.sparkplug.rebirth_limiter import RebirthLimiter
from cloud_ingest.intake.sparkplug.session_states import Handling, HostSessionEvent
from cloud_ingest.intake.sparkplug.sessions import DeviceSession, NodeSession
from cloud_ingest.intake.work import GatewayEvent, PresenceChange, Rebirth
from telemetry.series import NODE_DEVICE

GRACE_MS = 60_000
"""Gateways that are silent for this long after the host returned are offline."""
ASK_AFTER_MS = 5_000


class Presence:
    """The state of gateways and devices; no I/O, the time is passed in."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rebirths = RebirthLimiter(context.limits.rebirths_per_s)
        self._reorder_ms = int(context.limits.reorder_timeout_s * 1000)
        self._stale: dict[str, int] = {}  # since when, by gateway
        self._expected: dict[str, tuple[str, int]] = {}

    # --- lost messages

    def count_sequence(self, session: NodeSession, seq: int | None, now_ms: int) -> None:
        """Check the sequence number of a message."""
        if session.sequence.take(seq, now_ms, self._reorder_ms):
            self._context.inventory.count_gateway(session.gateway, "sequence_gaps")

    def handle(
        self, session: NodeSession, event: HostSessionEvent, now_ms: int, reason: str
    ) -> bool:
        """Bring an event into the session; True if it is to be taken.

        Asks for a rebirth, with ``reason``, where the table of states says so.
        """
        handling = session.handle(event)
        if handling is Handling.ASK_REBIRTH:
            self._ask_rebirth(session, now_ms, reason)
        return handling is Handling.TAKE

    def _ask_rebirth(self, session: NodeSession, now_ms: int, reason: str) -> None:
        """Ask a gateway for its births, as often as the limiter allows."""
        if not self._rebirths.allow(session.gateway, now_ms):
            return
        work = self._context.work
        work.rebirths.append(Rebirth(session.group, session.gateway))
        self._context.inventory.count_gateway(session.gateway, "rebirths_asked")
        text = f"asked: {reason}"
        work.events.append(
            GatewayEvent(now_ms, "rebirth", session.group, session.gateway, None, text)
        )

    def resync(self, gateways: Iterable[str]) -> None:
        """The host dropped messages of these gateways: their next sequence number is right."""
        for name in gateways:
            session = self._context.sessions.get(name)
            if session is not None:
                session.sequence.resync()

    # --- states

    def set_gateway(self, group: str, gateway: str, *, online: bool, now_ms: int) -> None:
        """Set the state of a gateway, and note the transition if it changes."""
        inventory = self._context.inventory
        known = inventory.gateway(gateway)
        if known is not None and known.online != online:
            inventory.update_gateway(gateway, online=online, since_ms=now_ms)
            self._note(group, gateway, None, online, now_ms)

    def set_device(
        self, group: str, gateway: str, device: str, *, online: bool, now_ms: int
    ) -> None:
        """Set the state of a device, and note the transition if it changes."""
        inventory = self._context.inventory
        known = inventory.device(gateway, device)
        if known is not None and known.online != online:
            inventory.update_device(gateway, device, online=online, since_ms=now_ms)
            self._note(group, gateway, device, online, now_ms)

    def end(self, group: str, gateway: str, now_ms: int) -> None:
        """Set a gateway and all its devices offline."""
        self._stale.pop(gateway, None)
        for device in self._context.inventory.devices_of(gateway):
            self.set_device(group, gateway, device.name, online=False, now_ms=now_ms)
        self.set_gateway(group, gateway, online=False, now_ms=now_ms)

    def _note(
        self, group: str, gateway: str, device: str | None, online: bool, now_ms: int
    ) -> None:
        work = self._context.work
        work.presence_changes.append(PresenceChange(group, gateway, device, online, now_ms))
        state = "online" if online else "offline"
        who = gateway if device is None else f"{gateway}/{device}"
        kind = state if device is None else f"device_{state}"
        event = GatewayEvent(now_ms, "online", group, gateway, device, f"{who} is {state}")
        work.events.append(replace(event, kind=kind))  # type: ignore[arg-type]  # one of four

    # --- silent gateways

    def confirm(self, gateway: str) -> None:
        """A gateway sent its birth: its state is no longer stale."""
        self._stale.pop(gateway, None)

    def expect(self, group: str, gateway: str, within_ms: int, now_ms: int) -> None:
        """Set a gateway without births and deaths offline unless it sends again within this time."""
        self._expected[gateway] = (group, now_ms + within_ms)

    def mark_all_stale(self, now_ms: int) -> None:
        """The host was disconnected: the state of every gateway may be out of date.

        Gateways that stay silent are asked for a rebirth and are offline after GRACE_MS.
        """
        for session in self._context.sessions.values():
            session.sequence.resync()
        for gateway in self._context.inventory.gateways():
            if gateway.online:
                session = self._context.sessions.setdefault(
                    gateway.id, NodeSession(gateway.group, gateway.id, DeviceSession(NODE_DEVICE))
                )
                session.handle(HostSessionEvent.HOST_RETURNED)
                self._stale[gateway.id] = now_ms

    def tick(self, now_ms: int) -> None:
        """Handle what is due: lost messages, missing device births, silent gateways."""
        for session in self._context.sessions.values():
            if session.sequence.deadline_ms is not None and session.sequence.lapsed(now_ms):
                reason = "messages were lost on the way"
                self.handle(session, HostSessionEvent.INCOMPLETE, now_ms, reason)
            if session.awaited and now_ms >= (session.awaited_until_ms or 0):
                for name in session.awaited:
                    self.set_device(
                        session.group, session.gateway, name, online=False, now_ms=now_ms
                    )
                session.awaited = frozenset()
        for name, since_ms in list(self._stale.items()):
            self._check_stale(name, since_ms, now_ms)
        for name, (group, until_ms) in list(self._expected.items()):
            if now_ms > until_ms:
                del self._expected[name]
                self.end(group, name, now_ms)

    def _check_stale(self, name: str, since_ms: int, now_ms: int) -> None:
        session = self._context.sessions[name]
        gateway = self._context.inventory.gateway(name)
        assert gateway is not None  # only gateways of the inventory are marked stale
        if (gateway.last_seen_ms or 0) > since_ms:
            del self._stale[name]
            session.handle(HostSessionEvent.HEARD)
        elif now_ms - since_ms > GRACE_MS:
            session.handle(HostSessionEvent.GRACE_OVER)
            self.end(gateway.group, name, now_ms)
        elif now_ms - since_ms > ASK_AFTER_MS:
            reason = "nothing heard since the host came back"
            self.handle(session, HostSessionEvent.SILENT, now_ms, reason)
