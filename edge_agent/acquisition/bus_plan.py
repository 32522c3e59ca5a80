"""The bus plan: whether the readings of a bus fit on its wire, computed before deployment (no I/O)."""

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
"""A plan that needs more of the wire's time is refused: repeats and silent devices need the rest."""
BAUD_RATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """The reads of one device, and the seconds on the wire that they take each interval."""

    device: Device
    reads: tuple[Read, ...]
    wire_s: float

    @property
    def interval_s(self) -> float:
        """The interval of the reads."""
        return self.device.interval_ms / 1000

    @property
    def utilisation(self) -> float:
        """The share of the wire's time that the reads take."""
        return self.wire_s / self.interval_s if self.interval_s else 0.0


@dataclass(frozen=True, slots=True)
class BusPlan:
    """The reads of a whole bus. Times are 0 for TCP, where the wire is not the limit."""

    bus: Bus
    devices: tuple[DevicePlan, ...]

    @property
    def utilisation(self) -> float:
        """The share of the wire's time that all reads take; above 1 it is impossible."""
        return sum(d.utilisation for d in self.devices)

    @property
    def cycle_s(self) -> float:
        """Seconds on the wire to read every device once."""
        return sum(d.wire_s for d in self.devices)

    @property
    def fits(self) -> bool:
        """Whether the plan is accepted."""
        return self.utilisation <= FULL

    def refusal(self) -> str:
        """The arithmetic of a plan that does not fit, and the nearest plans that do."""
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
    """Make the plan of a bus; that of a stream is empty."""
    if bus.is_stream:
        return BusPlan(bus, ())
    plans = []
    for device in bus.devices:
        limits = device.profile.limits
        reads = tuple(plan_reads(registers_of(device), limits.max_registers, limits.gap))
        plans.append(DevicePlan(device, reads, wire_s(device, reads, bus.timing)))
    return BusPlan(bus, tuple(plans))


def refuse_impossible(path: Path, plans: Sequence[BusPlan]) -> None:
    """Raise YamlFileError if the readings of a bus do not fit on its wire."""
    found: list[tuple[FieldPath, str]] = [
        (("buses", i), plan.refusal()) for i, plan in enumerate(plans) if not plan.fits
    ]
    if found:
        raise YamlFileError(problems_at(path, found))


def wire_s(device: Device, reads: Sequence[Read], timing: LineTiming | None) -> float:
    """Seconds on the wire for one turn of a device, with the pauses that it needs."""
    if timing is None:
        return 0.0
    return sum(timing.read_s(r) + max(device.pause_s - timing.gap_s, 0.0) for r in reads)


def round_up_ms(interval_ms: float) -> int:
    """Round up to an interval of two significant digits."""
    step: int = 10 ** max(0, math.floor(math.log10(max(interval_ms, 1))) - 1)
    return math.ceil(interval_ms / step) * step
