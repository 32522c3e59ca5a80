"""What the births of a session have named: only that may be sent."""

from edge_agent.outbox import StoredReport
from edge_agent.outbox.sqlite.row_format import unpack


class BirthAliases:
    """Devices that are born, and the aliases that their births and the gateway's have given."""

    def __init__(self) -> None:
        self._node: set[int] = set()
        self._devices: dict[str, set[int]] = {}
        self._checked_shapes: set[int] = set()

    @property
    def devices(self) -> set[str]:
        """The devices that are born."""
        return set(self._devices)

    def begin(self, aliases: set[int]) -> None:
        """The gateway is born with these; no device is yet."""
        self._node = aliases
        self._devices.clear()
        self._checked_shapes.clear()

    def born(self, device: str, aliases: set[int]) -> None:
        """A device is born with these."""
        self._devices[device] = aliases

    def died(self, device: str) -> None:
        """A device is dead; it has to be born again before it is heard of."""
        self._devices.pop(device, None)
        self._checked_shapes.clear()

    def is_born(self, device: str | None) -> bool:
        """Whether the device is born; the gateway (None) is."""
        return device is None or device in self._devices

    def has_all(self, report: StoredReport) -> bool:
        """Whether every metric of a report was named; its device is born."""
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
