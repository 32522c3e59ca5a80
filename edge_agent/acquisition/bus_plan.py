"""Whether the readings of a bus fit on its wire, worked out before anything is deployed (no I/O)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.acquisition.modbus.poller import registers_of
from edge_agent.acquisition.modbus.read_plan import Read, plan_reads
from edge_agent.acquisition.modbus.timing import LineTiming
from edge_agent.configuration import problems_at
from edge_agent.devices import Bus, Device
from telemetry.yaml_files import FieldPath, YamlFileError

FULL = 0.95
"""Beyond this share of the wire's time a plan is refused: repeats and silent devices need some."""
BAUD_RATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """The reads of one device, and how long the wire is busy with them each interval."""

    device: Device
    reads: tuple[Read, ...]
    wire_s: float

    @property
    def interval_s(self) -> float:
        """How often they are made."""
        return self.device.interval_ms / 1000

    @property
    def utilisation(self) -> float:
        """The share of the wire's time that they take."""
        return self.wire_s / self.interval_s if self.interval_s else 0.0


@dataclass(frozen=True, slots=True)
class BusPlan:
    """The readings of a whole bus. For a TCP bus, whose wire is not the limit, times are 0."""

    bus: Bus
    devices: tuple[DevicePlan, ...]

    @property
    def utilisation(self) -> float:
        """The share of the wire's time that is needed; above 1 nothing can make it fit."""
        return sum(d.utilisation for d in self.devices)

    @property
    def cycle_s(self) -> float:
        """Seconds that the wire needs to read every device once."""
        return sum(d.wire_s for d in self.devices)

    @property
    def fits(self) -> bool:
        """Whether the wire has time for it."""
        return self.utilisation <= FULL

    def refusal(self) -> str:
        """The arithmetic of a plan that does not fit, and the nearest ones that do."""
        rows = [
            f"  {d.device.name}: {len(d.reads)} read{'s' * (len(d.reads) != 1)}, "
            f"{d.wire_s * 1000:.1f} ms of every {d.interval_s:g} s = {d.utilisation:.0%}"
            for d in self.devices
        ]
        where = self.bus.serial
        speed = f"{where.baudrate} baud" if where else ""
        text = [
            (
                f"bus {self.bus.name!r} ({speed}): the readings need {self.utilisation:.0%} of the "
                f"wire's time; {FULL:.0%} is the most"
            ),
            *rows,
        ]
        return "\n".join([*text, *(f"  would fit: {option}" for option in self.options())])

    def options(self) -> list[str]:
        """The nearest plans that fit: longer intervals, or a faster line."""
        factor = self.utilisation / FULL
        found = []
        longer = {d.device.name: round_up_ms(d.device.interval_ms * factor) for d in self.devices}
        found.append(
            "intervals of " + ", ".join(f"{ms / 1000:g}s for {name}" for name, ms in longer.items())
        )
        faster = self._faster()
        if faster:
            found.append(f"{faster} baud with the intervals as they are")
        return found

    def _faster(self) -> int | None:
        serial = self.bus.serial
        if serial is None:
            return None
        for rate in BAUD_RATES:
            if rate <= serial.baudrate:
                continue
            timing = LineTiming.of(rate, serial.bytesize, serial.parity, serial.stopbits)
            needed = sum(wire_s(d.device, d.reads, timing) / d.interval_s for d in self.devices)
            if needed <= FULL:
                return rate
        return None


def plan_bus(bus: Bus) -> BusPlan:
    """Work out the readings of a bus; a stream's plan is empty."""
    if bus.is_stream:
        return BusPlan(bus, ())
    plans = []
    for device in bus.devices:
        limits = device.profile.limits
        reads = tuple(plan_reads(registers_of(device), limits.max_registers, limits.gap))
        plans.append(DevicePlan(device, reads, wire_s(device, reads, bus.timing)))
    return BusPlan(bus, tuple(plans))


def refuse_impossible(path: Path, plans: Sequence[BusPlan]) -> None:
    """Raise YamlFileError where the readings of a bus cannot fit on its wire."""
    found: list[tuple[FieldPath, str]] = [
        (("buses", i), plan.refusal()) for i, plan in enumerate(plans) if not plan.fits
    ]
    if found:
        raise YamlFileError(problems_at(path, found))


def wire_s(device: Device, reads: Sequence[Read], timing: LineTiming | None) -> float:
    """Seconds of the wire for one turn of a device, with the rest that it asks for."""
    if timing is None:
        return 0.0
    return sum(timing.read_s(r) + max(device.pause_s - timing.gap_s, 0.0) for r in reads)


def round_up_ms(interval_ms: float) -> int:
    """The next interval that a person would write: two digits that count."""
    step: int = 10 ** max(0, math.floor(math.log10(max(interval_ms, 1))) - 1)
    return math.ceil(interval_ms / step) * step
