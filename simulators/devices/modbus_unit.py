"""One Modbus unit: registers with the readings of an instrument, answers with faults. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device_profiles import Metric, Profile
from device_profiles.modbus import RegisterImage, decode_metric, identifying_words
from device_profiles.modbus.codec import Unencodable
from device_profiles.registers import Table
from simulators.devices.instrument import Instrument
from simulators.wire import functions
from simulators.wire.functions import Identity, UnitLimits
from simulators.wire.registers import TABLES, RegisterBank

_HOLES_TO_FILL = 16
_LAST_READING = 4
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class _MetricRegisters:
    """The table and addresses of a metric."""

    metric: Metric
    table: Table
    address: int
    count: int


class ModbusUnit:
    """Answers requests as a device of the profile does.

    Small gaps between two metrics are registers that hold 0, as in most devices; all other
    addresses give the exception *illegal data address*.
    """

    def __init__(self, instrument: Instrument) -> None:
        profile = instrument.profile
        self.instrument = instrument
        self.bank = RegisterBank()
        self.answered: dict[str, float | None] = {}
        self._image = RegisterImage(profile)
        self._limits = UnitLimits(max_registers=profile.limits.max_registers)
        self._identity = Identity(profile.manufacturer, profile.model)
        self._registers = [
            _MetricRegisters(m, m.table, m.address or 0, m.register_count) for m in profile.metrics
        ]
        self._step = -1
        self._remembered: dict[bytes, bytes] = {}
        self._is_silent = False
        self._define(profile)

    def answer(self, pdu: bytes, time_ms: int) -> bytes | None:
        """The answer to a request at a simulated time; None if the device does not answer."""
        if time_ms // self.instrument.refresh_ms != self._step:
            self.refresh(time_ms)
        if self._is_silent:
            return None
        reply = self._remembered.get(pdu)
        if reply is None:
            reply = functions.answer(self.bank, pdu, self._limits, self._identity)
            if pdu[0] > _LAST_READING:
                self._remembered.clear()  # the request may have written
            elif len(self._remembered) < _REMEMBERED:
                self._remembered[pdu] = reply  # true until the next refresh
        return reply

    def refresh(self, time_ms: int) -> None:
        """Update the registers from the readings of the instrument."""
        step = time_ms // self.instrument.refresh_ms
        if step == self._step:
            return
        self._step = step
        self._remembered.clear()
        self.show(self.instrument.readings(time_ms))

    def show(self, readings: Mapping[str, float | None]) -> None:
        """Write readings (metric name: value in the unit of the metric) to the registers."""
        self._is_silent = all(r is None for r in readings.values())
        for registers in self._registers:
            name = registers.metric.name
            if name not in readings:
                continue
            try:
                self._image.set(name, readings[name])
            except Unencodable:  # no code for a missing reading: the last one stays
                continue
            words = self._image.read(registers.table, registers.address, registers.count)
            assert words is not None
            addressed = {registers.address + i: w for i, w in enumerate(words)}
            if registers.table.is_bits:
                self.bank.set_bits(
                    registers.table.value, {a: bool(w) for a, w in addressed.items()}
                )
            else:
                self.bank.set_words(registers.table.value, addressed)
            value = decode_metric(registers.metric, words)
            self.answered[name] = None if value is None else registers.metric.to_canonical(value)

    def metrics_in(self, pdu: bytes) -> list[str]:
        """The metrics whose registers are all in the answer to a request."""
        asked = functions.read_range(pdu)
        if asked is None:
            return []
        table, first, count = asked
        return [
            p.metric.name
            for p in self._registers
            if p.table == table and first <= p.address and p.address + p.count <= first + count
        ]

    def _define(self, profile: Profile) -> None:
        for rule in profile.identify:
            self._image.write(rule.table, rule.address, identifying_words(rule))
        for table in TABLES:
            held = self._image.tables[Table(table)]
            gap = max(profile.limits.gap, _HOLES_TO_FILL)
            self.bank.define(table, _with_holes(sorted(held), gap))
            if table in ("coil", "discrete"):
                self.bank.set_bits(table, {a: bool(v) for a, v in held.items()})
            else:
                self.bank.set_words(table, held)


def _with_holes(addresses: Sequence[int], gap: int) -> list[int]:
    filled: list[int] = []
    for address in addresses:
        if filled and 1 < address - filled[-1] <= gap + 1:
            filled += range(filled[-1] + 1, address)
        filled.append(address)
    return filled
