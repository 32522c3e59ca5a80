"""Faults of the gateways and devices of a fleet."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulators.faults.plan import Fault, FaultKind, FaultPlan
from simulators.fleets.shape import GatewayShape
from simulators.scenarios.events import FaultModel
from simulators.scenarios.model import Scenario

_OF_GATEWAYS = frozenset(
    {FaultKind.NO_ANSWER, FaultKind.UNPLUGGED, FaultKind.POWER_CUT, FaultKind.CLOCK_WRONG}
)
_NO_LINK = frozenset({FaultKind.UNPLUGGED, FaultKind.POWER_CUT})


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes since the last check: connections to cut, devices that died or came back."""

    cut: tuple[int, ...]
    died: tuple[tuple[int, int], ...]
    revived: tuple[tuple[int, int], ...]


class FleetFailures:
    """The faults of a scenario by gateway number.

    For a gateway, ``no_answer`` loses its messages, ``unplugged`` its connection, ``power_cut``
    connection and measurements; for a device, ``no_answer`` is its death.
    """

    def __init__(
        self,
        scenario: Scenario,
        gateways: Sequence[str],
        shape: GatewayShape,
        seed: int,
        start_ms: int,
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._start_ms = start_ms
        self._of_gateway: dict[int, FaultPlan] = {}
        self._of_device: dict[tuple[int, int], FaultPlan] = {}
        for i, gateway in enumerate(gateways):
            self._plan(i, gateway, shape)
        self.without_link: set[int] = set()
        self.without_power: set[int] = set()
        self.dead: set[tuple[int, int]] = set()

    def look(self, now_ms: int) -> Changes:
        """Update the active faults; return what changed."""
        kinds = {
            i: {f.kind for f in plan.active(_OF_GATEWAYS, now_ms, 0)}
            for i, plan in self._of_gateway.items()
        }
        without_link = {i for i, k in kinds.items() if k & _NO_LINK}
        self.without_power = {i for i, k in kinds.items() if FaultKind.POWER_CUT in k}
        dead = {
            place
            for place, plan in self._of_device.items()
            if plan.active(frozenset({FaultKind.NO_ANSWER}), now_ms, 0)
        }
        changes = Changes(
            tuple(without_link - self.without_link),
            tuple(dead - self.dead),
            tuple(self.dead - dead),
        )
        self.without_link, self.dead = without_link, dead
        return changes

    def loses(self, i: int, now_ms: int, turn: int) -> bool:
        """True if a message of the gateway is lost."""
        plan = self._of_gateway.get(i)
        return plan is not None and bool(
            plan.active(frozenset({FaultKind.NO_ANSWER}), now_ms, turn)
        )

    def clock_error_ms(self, i: int, now_ms: int) -> int:
        """The error of the clock of the gateway, ms."""
        plan = self._of_gateway.get(i)
        wrong = (
            plan.active(frozenset({FaultKind.CLOCK_WRONG}), now_ms, 0) if plan is not None else []
        )
        return round(sum(f.amount for f in wrong) * 1000.0)

    def __bool__(self) -> bool:
        return bool(self._of_gateway or self._of_device)

    def _plan(self, i: int, gateway: str, shape: GatewayShape) -> None:
        models = [m for m in self._scenario.faults if m.kind in _OF_GATEWAYS]
        own = [self._fault(m) for m in models if m.device is None and m.applies_to(gateway, "-")]
        if own:
            self._of_gateway[i] = FaultPlan(own, self._seed, gateway)
        of_devices = [m for m in models if m.device is not None and m.kind is FaultKind.NO_ANSWER]
        for d, device in enumerate(shape.devices if of_devices else ()):
            found = [self._fault(m) for m in of_devices if m.applies_to(gateway, "-", device.name)]
            if found:
                self._of_device[i, d] = FaultPlan(found, self._seed, f"{gateway}/{device.name}")

    def _fault(self, model: FaultModel) -> Fault:
        offset_s = self._scenario.utc_offset_h * 3600.0
        begin = model.at.resolve_ms(self._start_ms, offset_s)
        end = begin + model.lasts if model.lasts is not None else 2**62
        return Fault(model.kind, begin, end, model.probability, model.value, model.every or 0)
