"""A simulated sensor or meter: the readings of each metric of its profile over time."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from device_profiles import Metric, Profile
from simulators.signals.places import Place
from simulators.signals.randomness import Float64, Int64, key_of
from simulators.signals.sensors import Sensor, usual_noise
from simulators.signals.world import World
from telemetry.quantities import QUANTITIES

_BLOCK = 64
_WELL = ("good", "GPS", "measuring", "bulk", "on")


class ValueSource(Protocol):
    """A source of true values."""

    def replays(self, metric: Metric) -> bool:
        """True if the values of the metric are recorded ones, which include noise."""
        ...

    def values(self, metric: Metric, time_ms: Int64) -> Float64:
        """True values in the canonical unit; NaN if there are none."""
        ...


_MAINS_FROM_V = 100.0


class WorldSource:
    """Values of the simulated world at a place, for a device of a profile.

    Several counters of one device share the total count, as lanes of a road do.
    """

    def __init__(self, world: World, place: Place, profile: Profile) -> None:
        self._world = world
        self._place = place
        self._lanes = [m.name for m in profile.metrics if m.quantity == "vehicle_count"]

    def replays(self, metric: Metric) -> bool:  # noqa: ARG002  # the world replays nothing
        """See ValueSource."""
        return False

    def values(self, metric: Metric, time_ms: Int64) -> Float64:
        """See ValueSource."""
        true = self._world.values(self._place, metric.quantity, time_ms)
        if metric.name in self._lanes:
            lane, lanes = self._lanes.index(metric.name), len(self._lanes)
            return np.floor((true + lane) / lanes)
        if metric.quantity == "voltage" and (metric.valid_canonical or (0, 1e9))[1] < _MAINS_FROM_V:
            return true * (12.0 / 226.0)  # the supply voltage of the instrument
        return true


class Instrument:
    """The readings of a device of a profile, updated every ``refresh_ms``.

    Readings depend only on ``seed``, the name of the device and the time.
    """

    def __init__(
        self,
        profile: Profile,
        name: str,
        source: ValueSource,
        *,
        seed: int = 0,
        sensors: Mapping[str, Sensor] | None = None,
        refresh_ms: int = 1000,
        on_since_ms: int = 0,
    ) -> None:
        self.profile = profile
        self.name = name
        self.refresh_ms = refresh_ms
        self.on_since_ms = on_since_ms
        self.seed = seed
        self.source = source
        given = sensors or {}
        self.sensors = {
            m.name: given.get(m.name) or (Sensor() if source.replays(m) else usual_sensor(m))
            for m in profile.metrics
        }
        self._keys = {m.name: key_of(seed, name, m.name) for m in profile.metrics}
        self._block_start = -1
        self._block: list[dict[str, float | None]] = []

    def readings(self, time_ms: int) -> Mapping[str, float | None]:
        """The readings at a time, in the unit of each metric; None if there is no reading."""
        step = time_ms // self.refresh_ms
        first = step - step % _BLOCK
        if first != self._block_start:
            times = np.arange(first, first + _BLOCK, dtype=np.int64) * self.refresh_ms
            columns = {m.name: self.column(m, times).tolist() for m in self.profile.metrics}
            self._block = [
                {name: None if c[i] != c[i] else c[i] for name, c in columns.items()}
                for i in range(_BLOCK)
            ]
            self._block_start = first
        return self._block[step - first]

    def column(self, metric: Metric, time_ms: Int64) -> Float64:
        """The readings of one metric at many times, in the unit of the metric; NaN if there is none."""
        if metric.quantity == "status":
            return np.full(len(time_ms), _healthy(metric))
        true = self.source.values(metric, time_ms)
        shown = self.sensors[metric.name].read(
            self._keys[metric.name], true, time_ms, self.on_since_ms
        )
        factor = metric.from_canonical(1.0) - metric.from_canonical(0.0)
        return _fit(metric, shown * factor + metric.from_canonical(0.0))

    def restart(self, time_ms: int) -> None:
        """Start to warm up again after a power cut."""
        self.on_since_ms = time_ms
        self._block_start = -1

    def representable(self, name: str) -> tuple[float, float]:
        """The lowest and highest value that the registers of a metric can hold, in its unit."""
        return raw_limits(self.profile.metric(name))


def usual_sensor(metric: Metric) -> Sensor:
    """A sensor with typical noise for its quantity that saturates at its valid range."""
    absolute, share = usual_noise(metric.quantity)
    low, high = metric.valid_canonical or (-np.inf, np.inf)
    if QUANTITIES[metric.quantity].cumulative:
        return Sensor()  # counters wrap around instead of saturating
    return Sensor(noise=absolute, noise_share=share, low=low, high=high)


def _healthy(metric: Metric) -> float:
    if metric.name.endswith("quality") and metric.valid is not None:
        return round(0.9 * metric.valid[1])
    if metric.enum:
        named = {label: code for code, label in metric.enum.items()}
        code = next((named[w] for w in _WELL if w in named), next(iter(metric.enum)))
        return code * metric.scale + metric.offset
    return metric.offset


def _fit(metric: Metric, value: Float64) -> Float64:
    """Limit values to the range of the registers: counters wrap around, others saturate."""
    low, high = _limits(metric)
    quantity = QUANTITIES[metric.quantity]
    if quantity.cumulative and np.isfinite(high):
        return np.mod(value, high - max(low, 0.0))
    if quantity.circular:
        value = np.mod(value, 360.0)
    fitted: Float64 = np.clip(value, low, high)
    return fitted


def _limits(metric: Metric) -> tuple[float, float]:
    """The lowest and highest reading: inside the valid range and the range of the registers."""
    low, high = metric.valid or (-np.inf, np.inf)
    lowest, highest = raw_limits(metric)
    return max(low, lowest), min(high, highest)


def raw_limits(metric: Metric) -> tuple[float, float]:
    """The lowest and highest value that the registers of a metric can hold, in its unit."""
    if metric.type is None or metric.type.is_float:
        return -np.inf, np.inf
    field = metric.bit_field
    raw = (0.0, float(field.mask)) if field is not None else metric.type.limits
    decimals = 100.0 if metric.decimals_address is not None else 1.0
    low, high = sorted(r / decimals * metric.scale + metric.offset for r in raw)
    # numbers at the ends often mean "no reading"
    margin = 2.0 * abs(metric.scale) if metric.missing else 0.0
    return low + margin * (low < 0), high - margin
