"""The cabinet of a station: mains, load, battery, temperature."""

import numpy as np

from simulators.signals.curves import over_the_day
from simulators.signals.places import Place
from simulators.signals.randomness import Float64, key_of, wander
from simulators.signals.weather import Weather

_POWER_FACTOR = 0.93


class Power:
    """Electricity at a place."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self._seed = seed
        self._weather = weather

    def voltage(self, place: Place, time_s: Float64) -> Float64:
        """Mains voltage: lower at times of cooking."""
        hour = self._weather.local(time_s).hour
        sag = over_the_day(
            hour, [(0, 2.5), (5, 3.0), (10, -1.0), (15, -1.5), (18.5, -5.0), (22, 1)]
        )
        unrest = wander(key_of(self._seed, place.name, "mains"), time_s, 90.0)
        return 226.0 + sag + 1.1 * unrest

    def frequency(self, _place: Place, time_s: Float64) -> Float64:
        """Mains frequency: the same at all stations."""
        hertz: Float64 = 50.0 + 0.025 * wander(key_of(self._seed, "grid"), time_s, 40.0)
        return hertz

    def active_power(self, place: Place, time_s: Float64) -> Float64:
        """Load: instruments, modem, pumps that switch, a fan at high temperature."""
        heat = np.clip((self.cabinet_c(place, time_s) - 35.0) / 5.0, 0.0, 1.0)
        cycle = np.mod(time_s + key_of(place.name) % 600, 600.0) < 150.0
        unrest = wander(key_of(self._seed, place.name, "load"), time_s, 60.0)
        return 74.0 + 28.0 * heat + 46.0 * cycle + 1.6 * unrest

    def apparent_power(self, place: Place, time_s: Float64) -> Float64:
        """Active power over the power factor."""
        return self.active_power(place, time_s) / self.power_factor(place, time_s)

    def reactive_power(self, place: Place, time_s: Float64) -> Float64:
        """Reactive power, from the power factor."""
        s, p = self.apparent_power(place, time_s), self.active_power(place, time_s)
        reactive: Float64 = np.sqrt(np.maximum(s * s - p * p, 0.0))
        return reactive

    def power_factor(self, place: Place, time_s: Float64) -> Float64:
        """Power factor."""
        unrest = wander(key_of(self._seed, place.name, "cos phi"), time_s, 300.0)
        return np.clip(_POWER_FACTOR + 0.012 * unrest, 0.0, 1.0)

    def current(self, place: Place, time_s: Float64) -> Float64:
        """Current."""
        return self.apparent_power(place, time_s) / self.voltage(place, time_s)

    def energy_kwh(self, _place: Place, time_s: Float64, since_s: float) -> Float64:
        """Energy since a time; it grows with the mean load."""
        slow = 0.02 * np.sin(2 * np.pi * time_s / 86400.0)
        energy: Float64 = (time_s - since_s) / 3600.0 * 0.0925 + slow * 0.05
        return energy

    def battery_level(self, place: Place, time_s: Float64) -> Float64:
        """Battery of the solar panel: full by noon, lowest at dawn."""
        hour = self._weather.local(time_s).hour
        day = over_the_day(hour, [(0, 78), (6, 66), (9, 76), (12.5, 98), (16, 100), (19, 93)])
        unrest = wander(key_of(self._seed, place.name, "battery"), time_s, 6 * 3600.0)
        return np.clip(day + 1.5 * unrest, 5.0, 100.0)

    def battery_voltage(self, place: Place, time_s: Float64) -> Float64:
        """A 12 V battery."""
        return 11.6 + 0.018 * self.battery_level(place, time_s)

    def cabinet_c(self, place: Place, time_s: Float64) -> Float64:
        """Temperature in the cabinet: air, heat of the load, sun on the door."""
        sun = self._weather.sun_w_m2(place, time_s - 1200.0)
        return self._weather.temperature_c(place, time_s - 600.0) + 3.5 + 0.011 * sun
