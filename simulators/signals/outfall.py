"""Waste water of a factory: shifts, batches, and a treatment plant that evens them out."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulators.signals.curves import over_the_day
from simulators.signals.places import LOCAL_OFFSET_S, LocalTime, Place
from simulators.signals.randomness import Float64, generator, key_of, wander
from simulators.signals.weather import Weather

_STEP_S = 30.0
_GRID: Float64 = np.arange(0.0, 86400.0 + _STEP_S, _STEP_S)


@dataclass(frozen=True, slots=True)
class OutfallDay:
    """One local day in steps of 30 s: flow, share of batches, and volume since midnight."""

    flow_m3_h: Float64
    load: Float64
    volume_m3: Float64


class Outfall:
    """The outfall at a place; quantities in their canonical units."""

    def __init__(self, seed: int, weather: Weather, offset_s: float = LOCAL_OFFSET_S) -> None:
        self._seed = seed
        self._weather = weather
        self._offset_s = offset_s
        self._day = lru_cache(maxsize=64)(self._make_day)

    def _make_day(self, place: Place, day: int) -> OutfallDay:
        dice = generator(self._seed, "outfall", place.name, day)
        works = 1.0 if (day + 3) % 7 < 6 else 0.45  # Sunday
        base = over_the_day(
            _GRID / 3600.0, [(0, 0.45), (5.5, 0.5), (7, 0.95), (12, 0.85), (14, 1.1), (21, 0.8)]
        )
        load = np.zeros_like(_GRID)
        start = dice.uniform(1.0, 3.0) * 3600.0
        while start < 86400.0:
            length = dice.uniform(1500.0, 3600.0)
            since = np.maximum(_GRID - start, 0.0)
            # the equalisation tank answers within minutes and empties within an hour
            pulse = (1.0 - np.exp(-np.minimum(since, length) / 420.0)) * np.exp(
                -np.maximum(since - length, 0.0) / 1500.0
            )
            load = np.maximum(load, dice.uniform(0.5, 1.0) * works * pulse * (since > 0))
            start += length + dice.uniform(5400.0, 12600.0)
        flow = place.discharge_m3_h * works * (base + 0.9 * load)
        flow = flow * (1.0 + 0.015 * dice.standard_normal(len(_GRID)))
        volume = np.concatenate(([0.0], np.cumsum((flow[1:] + flow[:-1]) / 2) * _STEP_S / 3600.0))
        return OutfallDay(flow, load, volume)

    def _of_day(self, place: Place, time_s: Float64, name: str) -> Float64:
        local = LocalTime.of(time_s, self._offset_s)
        result = np.zeros_like(time_s)
        for day in np.unique(local.day):
            here = local.day == day
            track = getattr(self._day(place, int(day)), name)
            result[here] = np.interp(local.second[here], _GRID, track)
        return result

    def load(self, place: Place, time_s: Float64) -> Float64:
        """The share of the flow that is from a batch, 0 to 1."""
        return self._of_day(place, time_s, "load")

    def flow_m3_h(self, place: Place, time_s: Float64) -> Float64:
        """Flow, including rain in the drains."""
        rain = self._weather.rain_mm_h(place, time_s - 300.0)
        return self._of_day(place, time_s, "flow_m3_h") + 0.02 * place.discharge_m3_h * rain

    def volume_m3(self, place: Place, time_s: Float64, since_day: int) -> Float64:
        """The volume since the beginning of a local day."""
        local = LocalTime.of(time_s, self._offset_s)
        result = self._of_day(place, time_s, "volume_m3")
        for day in np.unique(local.day):
            before = sum(self._day(place, d).volume_m3[-1] for d in range(since_day, int(day)))
            result[local.day == day] += before
        return result

    def _noise(self, place: Place, time_s: Float64, what: str, period_s: float = 1200.0) -> Float64:
        return wander(key_of(self._seed, place.name, "outfall", what), time_s, period_s)

    def cod(self, place: Place, time_s: Float64) -> Float64:
        """Chemical oxygen demand."""
        lagged = self.load(place, time_s - 240.0)
        return (34.0 + 26.0 * lagged) * np.exp(0.05 * self._noise(place, time_s, "cod"))

    def bod5(self, place: Place, time_s: Float64) -> Float64:
        """Biochemical oxygen demand, about two fifths of the COD."""
        return self.cod(place, time_s) * 0.4

    def tss(self, place: Place, time_s: Float64) -> Float64:
        """Suspended solids."""
        stirred = self.flow_m3_h(place, time_s) / max(place.discharge_m3_h, 1.0)
        return (12.0 + 9.0 * stirred) * np.exp(0.07 * self._noise(place, time_s, "tss"))

    def turbidity(self, place: Place, time_s: Float64) -> Float64:
        """Turbidity, which follows the solids."""
        return 0.85 * self.tss(place, time_s) + 1.2 * np.abs(self._noise(place, time_s, "ntu", 120))

    def ph(self, place: Place, time_s: Float64) -> Float64:
        """pH: rinsing batches are alkaline, dosing corrects them."""
        swing = 0.45 * self.load(place, time_s) - 0.15 * self.load(place, time_s - 1800.0)
        ph: Float64 = 7.15 + swing + 0.06 * self._noise(place, time_s, "ph")
        return ph

    def temperature_c(self, place: Place, time_s: Float64) -> Float64:
        """Water temperature: the tanks follow the air slowly, batches are warm."""
        past = (
            sum(self._weather.temperature_c(place, time_s - h * 3600.0) for h in (1, 4, 7, 10)) / 4
        )
        warm = 2.2 * self.load(place, time_s)
        return past + 1.8 + warm + 0.08 * self._noise(place, time_s, "temperature")

    def conductivity(self, place: Place, time_s: Float64) -> Float64:
        """Conductivity: salts of the process, diluted by rain."""
        rain = self._weather.rain_mm_h(place, time_s - 600.0)
        salt = 980.0 + 520.0 * self.load(place, time_s - 120.0)
        return salt / (1.0 + 0.02 * rain) * np.exp(0.02 * self._noise(place, time_s, "salt"))

    def oxygen(self, place: Place, time_s: Float64) -> Float64:
        """Dissolved oxygen: less with a higher organic load."""
        saturated = (
            14.6
            - 0.39 * self.temperature_c(place, time_s)
            + 0.0045 * np.square(self.temperature_c(place, time_s))
        )
        used = 0.45 + 0.2 * self.load(place, time_s)
        return np.maximum(saturated * (1 - used) + 0.12 * self._noise(place, time_s, "do"), 0.2)

    def oxygen_saturation(self, place: Place, time_s: Float64) -> Float64:
        """Dissolved oxygen in % of saturation."""
        t = self.temperature_c(place, time_s)
        return 100.0 * self.oxygen(place, time_s) / (14.6 - 0.39 * t + 0.0045 * np.square(t))

    def ammonium(self, place: Place, time_s: Float64) -> Float64:
        """Ammonium."""
        return (2.1 + 2.4 * self.load(place, time_s)) * np.exp(
            0.06 * self._noise(place, time_s, "ammonium")
        )

    def level_m(self, place: Place, time_s: Float64) -> Float64:
        """Level over a V-notch weir of 90 degrees (Q = 1.4 h^2.5 in m3/s)."""
        return np.power(np.maximum(self.flow_m3_h(place, time_s), 0.0) / 3600.0 / 1.4, 0.4)
