"""Air pollutants: regional background, roads and factories, dilution by wind and rain."""

import numpy as np

from simulators.signals.curves import over_the_day
from simulators.signals.places import LocalTime, Place
from simulators.signals.randomness import Float64, key_of, wander
from simulators.signals.traffic import busyness
from simulators.signals.weather import Weather


class Air:
    """The air over a region, in ug/m3."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self._seed = seed
        self._weather = weather

    def _spreading(self, place: Place, time_s: Float64, local: LocalTime) -> Float64:
        """Dilution of emissions: mixing height times wind, 1 on an average afternoon."""
        mixing = over_the_day(local.hour, [(0, 0.42), (6, 0.38), (9, 0.8), (13, 1.35), (17, 0.9),
                                           (20, 0.5)])  # fmt: skip
        wind = self._weather.wind_m_s(place, time_s)
        spreading: Float64 = mixing * (0.5 + 0.35 * wind)
        return np.maximum(spreading, 0.25)

    def _washed(self, place: Place, time_s: Float64) -> Float64:
        """The share that rain leaves in the air (0.35 to 1)."""
        rain = self._weather.rain_mm_h(place, time_s)
        earlier = self._weather.rain_mm_h(place, time_s - 900.0)
        washed: Float64 = 0.35 + 0.65 * np.exp(-0.06 * (rain + earlier))
        return washed

    def _road(self, place: Place, time_s: Float64) -> Float64:
        local = self._weather.local(time_s)
        road: Float64 = place.traffic * busyness(local.hour, local.weekday)
        return road / self._spreading(place, time_s, local)

    def _works(self, place: Place, time_s: Float64) -> Float64:
        local = self._weather.local(time_s)
        shifts = over_the_day(local.hour, [(0, 0.6), (6, 0.7), (8, 1.0), (17, 1.0), (22, 0.7)])
        works: Float64 = place.industry * shifts / self._spreading(place, time_s, local)
        return works

    def _unrest(self, place: Place, time_s: Float64, what: str, size: float) -> Float64:
        eddies = wander(key_of(self._seed, place.name, what), time_s, 420.0)
        masses = wander(key_of(self._seed, "region", what), time_s, 36 * 3600.0)
        unrest: Float64 = np.exp(size * (0.5 * eddies + masses))
        return unrest

    def pm2_5(self, place: Place, time_s: Float64) -> Float64:
        """Dust up to 2.5 um."""
        local = self._weather.local(time_s)
        dry = 0.5 + 0.5 * np.cos(2 * np.pi * (local.day_of_year - 15.0) / 365.2425)
        burning = over_the_day(local.hour, [(0, 1.0), (7, 1.6), (10, 0.6), (16, 0.6), (19, 1.7)])
        source = (
            9.0 + 9.0 * dry + 7.5 * self._road(place, time_s) + 4.0 * self._works(place, time_s)
        )
        source = source + 2.0 * burning / self._spreading(place, time_s, local)
        return source * self._unrest(place, time_s, "fine dust", 0.16) * self._washed(place, time_s)

    def pm1(self, place: Place, time_s: Float64) -> Float64:
        """Dust up to 1 um."""
        return 0.66 * self.pm2_5(place, time_s)

    def pm10(self, place: Place, time_s: Float64) -> Float64:
        """Dust up to 10 um; road dust depends on dryness and wind."""
        humid = self._weather.humidity_percent(place, time_s)
        whirled = (4.0 + 9.0 * self._road(place, time_s)) * np.clip(
            (95.0 - humid) / 40.0, 0.15, 1.2
        )
        coarse = whirled * self._unrest(place, time_s, "coarse dust", 0.2)
        return 1.22 * self.pm2_5(place, time_s) + coarse * self._washed(place, time_s)

    def pm4(self, place: Place, time_s: Float64) -> Float64:
        """Dust up to 4 um."""
        return 0.7 * self.pm2_5(place, time_s) + 0.3 * self.pm10(place, time_s)

    def no2(self, place: Place, time_s: Float64) -> Float64:
        """Nitrogen dioxide, mostly from traffic."""
        amount = 7.0 + 16.0 * self._road(place, time_s) + 4.0 * self._works(place, time_s)
        return amount * self._unrest(place, time_s, "no2", 0.15)

    def co(self, place: Place, time_s: Float64) -> Float64:
        """Carbon monoxide, mostly from motorbikes."""
        amount = 320.0 + 620.0 * self._road(place, time_s)
        return amount * self._unrest(place, time_s, "co", 0.15)

    def so2(self, place: Place, time_s: Float64) -> Float64:
        """Sulphur dioxide, mostly from boilers."""
        amount = 4.0 + 13.0 * self._works(place, time_s)
        return amount * self._unrest(place, time_s, "so2", 0.3)

    def o3(self, place: Place, time_s: Float64) -> Float64:
        """Ozone: formed by sunlight, removed by fresh exhaust."""
        # the sun of the last hours counts, not the present one
        light = sum(self._weather.sun_w_m2(place, time_s - h * 3600.0) for h in (0.5, 1.5, 2.5)) / 3
        amount = 24.0 + 0.095 * light - 0.22 * self.no2(place, time_s)
        return np.maximum(amount * self._unrest(place, time_s, "o3", 0.12), 3.0)

    def nh3(self, place: Place, time_s: Float64) -> Float64:
        """Ammonia."""
        return (6.0 + 3.0 * self._works(place, time_s)) * self._unrest(place, time_s, "nh3", 0.25)

    def h2s(self, place: Place, time_s: Float64) -> Float64:
        """Hydrogen sulphide: from canals, at night and in low wind."""
        local = self._weather.local(time_s)
        still = 1.2 / self._spreading(place, time_s, local)
        return (1.5 + 2.0 * still * place.industry) * self._unrest(place, time_s, "h2s", 0.35)

    def voc(self, place: Place, time_s: Float64) -> Float64:
        """Volatile organic compounds."""
        amount = 60.0 + 90.0 * self._road(place, time_s) + 60.0 * self._works(place, time_s)
        return amount * self._unrest(place, time_s, "voc", 0.2)

    def co2_ppm(self, place: Place, time_s: Float64) -> Float64:
        """Carbon dioxide in ppm: respiration of plants at night, traffic."""
        local = self._weather.local(time_s)
        night = 22.0 / self._spreading(place, time_s, local)
        slow = 4.0 * wander(key_of(self._seed, place.name, "co2"), time_s, 1800.0)
        return 422.0 + night + 14.0 * self._road(place, time_s) + slow
