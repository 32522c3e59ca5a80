"""Applies faults to the readings of an instrument."""

from collections.abc import Mapping

import numpy as np

from device_profiles import Metric, Profile
from simulators.devices.instrument import Instrument
from simulators.faults.plan import OF_VALUES, SILENCING, Fault, FaultKind, FaultPlan
from simulators.signals.randomness import Float64, Int64

# unit: factor and offset of the number that appears in the wrong unit
_SWAPPED = {
    "Cel": (1.8, 32.0), "ug/m3": (0.001, 0.0), "mg/m3": (1000.0, 0.0), "m/s": (3.6, 0.0),
    "km/h": (1 / 1.609344, 0.0), "hPa": (0.75006, 0.0), "mg/L": (1000.0, 0.0), "%": (0.01, 0.0),
    "m": (1000.0, 0.0), "mm": (1 / 25.4, 0.0), "uS/cm": (0.001, 0.0), "m3/h": (1 / 3.6, 0.0),
    "W": (0.001, 0.0), "V": (1000.0, 0.0), "kW.h": (1000.0, 0.0), "lx": (0.001, 0.0),
}  # fmt: skip


class FaultyInstrument(Instrument):
    """An instrument with faults in its readings."""

    def __init__(self, sound: Instrument, plan: FaultPlan) -> None:
        super().__init__(
            sound.profile, sound.name, sound.source, seed=sound.seed, sensors=sound.sensors,
            refresh_ms=sound.refresh_ms, on_since_ms=sound.on_since_ms,
        )  # fmt: skip
        self._sound = sound
        self._plan = plan

    def readings(self, time_ms: int) -> Mapping[str, float | None]:
        """See Instrument."""
        turn = time_ms // self.refresh_ms
        faults = self._plan.active(OF_VALUES, time_ms, turn)
        clock = [f for f in faults if f.kind is FaultKind.CLOCK_WRONG]
        shifted = time_ms + round(sum(f.amount for f in clock) * 1000.0)
        readings = dict(self._sound.readings(shifted))
        for fault in faults:
            for name in fault.metrics or readings.keys():
                if name in readings:
                    readings[name] = self._faulty_value(fault, name, readings[name], time_ms)
        return readings

    def restart(self, time_ms: int) -> None:
        """See Instrument."""
        super().restart(time_ms)
        self._sound.restart(time_ms)

    def column(self, metric: Metric, time_ms: Int64) -> Float64:
        """See Instrument; there is also no value while the device is silent or without power."""
        value = self._sound.column(metric, time_ms)
        turn = time_ms // self.refresh_ms
        low, high = self.representable(metric.name)
        for fault in self._plan.of_kinds(OF_VALUES | SILENCING):
            if fault.metrics and metric.name not in fault.metrics:
                continue
            struck, begin = self._plan.affected(fault, time_ms, turn)
            if struck.any():
                faulty = self._faulty_column(fault, metric, time_ms, value, begin)
                value = np.where(struck, np.clip(faulty, low, high), value)
        return value

    def _faulty_column(
        self, fault: Fault, metric: Metric, time_ms: Int64, value: Float64, begin: Int64
    ) -> Float64:
        if fault.kind in SILENCING:
            return np.full(len(value), np.nan)
        if fault.kind is FaultKind.STUCK:
            return self._sound.column(metric, begin)
        if fault.kind is FaultKind.CLOCK_WRONG:
            return self._sound.column(metric, time_ms + round(fault.amount * 1000.0))
        if fault.kind is FaultKind.SPIKE:
            return value * fault.amount
        if fault.kind is FaultKind.DRIFT:
            return value * (1.0 + fault.amount * (time_ms - begin) / 3_600_000.0)
        factor, offset = _SWAPPED.get(metric.unit, (10.0, 0.0))
        return value * factor + offset

    def _faulty_value(
        self, fault: Fault, name: str, value: float | None, time_ms: int
    ) -> float | None:
        span = fault.span_ms(time_ms)
        assert span is not None
        if fault.kind is FaultKind.STUCK:
            return self._sound.readings(span[0]).get(name)
        if value is None or fault.kind is FaultKind.MISSING:
            return _missing(self.profile, name, value)
        if fault.kind is FaultKind.SPIKE:
            value *= fault.amount
        elif fault.kind is FaultKind.DRIFT:
            value *= 1.0 + fault.amount * (time_ms - span[0]) / 3_600_000.0
        elif fault.kind is FaultKind.UNIT_SWAPPED:
            factor, offset = _SWAPPED.get(self.profile.metric(name).unit, (10.0, 0.0))
            value = value * factor + offset
        return self._within(name, value)

    def _within(self, name: str, value: float) -> float:
        low, high = self.representable(name)
        return min(max(value, low), high)


def _missing(profile: Profile, name: str, value: float | None) -> float | None:
    """None if the device has a code for a missing reading; otherwise the reading."""
    metric = profile.metric(name)
    sayable = bool(metric.missing) or metric.type is None or metric.type.is_float
    return None if sayable else value
