"""The births and deaths of a session as messages, and the metrics that they have named."""

from collections.abc import Sequence

from edge_agent.outbox import OutboxStatus, StoredReport
from edge_agent.outbox.sqlite.row_format import unpack
from edge_agent.uplink.actions import Moment, Publish
from edge_agent.uplink.births import Births
from edge_agent.uplink.data_messages import Outgoing
from telemetry.sparkplug import Payload, encode


class BirthAliases:
    """The devices that are born, and the aliases that their births and the gateway's have named."""

    def __init__(self) -> None:
        self._node: set[int] = set()
        self._devices: dict[str, set[int]] = {}
        self._checked_shapes: set[int] = set()

    @property
    def devices(self) -> set[str]:
        """The devices that are born."""
        return set(self._devices)

    def node_born(self, aliases: set[int]) -> None:
        """The gateway is born with these aliases; all devices must be born again."""
        self._node = aliases
        self._devices.clear()
        self._checked_shapes.clear()

    def device_born(self, device: str, aliases: set[int]) -> None:
        """A device is born with these aliases."""
        self._devices[device] = aliases

    def device_died(self, device: str) -> None:
        """A device is dead until its next birth."""
        self._devices.pop(device, None)
        self._checked_shapes.clear()

    def is_born(self, device: str | None) -> bool:
        """Whether the device is born. The gateway (None) always is."""
        return device is None or device in self._devices

    def has_all(self, report: StoredReport) -> bool:
        """Whether the births have named every metric of a report whose device is born."""
        shape = report.shape
        if shape.number in self._checked_shapes:
            return True
        named = self._node if shape.device is None else self._devices[shape.device]
        used = set(shape.aliases) or {alias for alias, *_ in unpack(report)}
        if not used <= named:
            return False
        if shape.aliases:
            self._checked_shapes.add(shape.number)
        return True


class BirthMessages:
    """Makes the NBIRTH, DBIRTH and DDEATH messages of one session.

    ``online`` are the devices that answer. Other devices are born only to deliver their backlog
    (*history only*) and die when it is delivered.
    """

    def __init__(self, births: Births, outgoing: Outgoing, bdseq: int, online: set[str]) -> None:
        self.online = set(online)
        self._births = births
        self._outgoing = outgoing
        self._bdseq = bdseq
        self._born = BirthAliases()
        self._history_only: set[str] = set()

    def all(self, now: Moment, status: OutboxStatus, lowest: int) -> list[Publish]:
        """The NBIRTH, which restarts the sequence numbers, and the births of all devices."""
        payload = self._births.nbirth(now.wall_ms, self._bdseq, status, lowest)
        devices = sorted(self.online | self._born.devices)
        self._born.node_born({m.alias for m in payload.metrics if m.alias is not None})
        self._outgoing.restart()
        messages = [self._outgoing.message("NBIRTH", None, encode(payload))]
        self._outgoing.next_seq()  # that of the NBIRTH
        messages.extend(self._dbirth(device, now) for device in devices)
        return messages

    def device_online(self, device: str, now: Moment) -> list[Publish]:
        """The birth of a device that answers, unless it is born as one that answers."""
        known = device in self.online
        self.online.add(device)
        return [] if known and self._born.is_born(device) else [self._dbirth(device, now)]

    def device_offline(self, device: str, now: Moment) -> list[Publish]:
        """The death of a device that no longer answers, if it is born."""
        self.online.discard(device)
        return [self._ddeath(device, now)] if self._born.is_born(device) else []

    def removed(self, now: Moment) -> list[Publish]:
        """The deaths of devices that the gateway's description no longer contains."""
        known = {d.name for d in self._births.node.devices}
        return [self._ddeath(device, now) for device in sorted(self._born.devices - known)]

    def history_delivered(self, now: Moment) -> list[Publish]:
        """The deaths of devices that were born only to deliver their backlog."""
        return [self._ddeath(device, now) for device in sorted(self._history_only)]

    def missing_for(
        self, device: str | None, reports: Sequence[StoredReport], now: Moment
    ) -> list[Publish] | None:
        """The birth that must precede ``reports`` of a device.

        None where they carry metrics of the gateway itself that no NBIRTH has named: then ``all``
        must be sent.
        """
        messages: list[Publish] = []
        if device is not None and not self._born.is_born(device):
            messages.append(self._dbirth(device, now))
        if all(self._born.has_all(report) for report in reports):
            return messages
        return None if device is None else [*messages, self._dbirth(device, now)]

    def _dbirth(self, device: str, now: Moment) -> Publish:
        history_only = device not in self.online
        payload, aliases = self._births.dbirth(
            device, now.wall_ms, self._outgoing.next_seq(), history_only=history_only
        )
        self._born.device_born(device, aliases)
        if history_only:
            self._history_only.add(device)
        else:
            self._history_only.discard(device)
        return self._outgoing.message("DBIRTH", device, encode(payload))

    def _ddeath(self, device: str, now: Moment) -> Publish:
        self._born.device_died(device)
        self._history_only.discard(device)
        payload = encode(Payload(now.wall_ms, (), self._outgoing.next_seq()))
        return self._outgoing.message("DDEATH", device, payload)
