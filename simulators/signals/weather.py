"""Weather of the south of Việt Nam: monsoon winds and afternoon storms, shared by all stations."""

from functools import lru_cache

import numpy as np

from simulators.signals.curves import daylight, over_the_day
from simulators.signals.episodes import Episode
from simulators.signals.places import LOCAL_OFFSET_S, LocalTime, Place
from simulators.signals.randomness import Float64, generator, key_of, wander

# chance of a storm on a day, by month (Tân Sơn Nhất: rainy from May to November)
_STORM_CHANCE = (0.06, 0.04, 0.08, 0.25, 0.6, 0.7, 0.75, 0.72, 0.75, 0.7, 0.45, 0.18)
# mean temperature of a month, °C
_MONTH_MEAN = (26.3, 27.1, 28.4, 29.6, 29.2, 28.2, 27.8, 27.8, 27.6, 27.3, 27.0, 26.3)
# dew point of a month, °C
_MONTH_DEW = (19.6, 20.0, 21.5, 23.3, 24.6, 24.6, 24.4, 24.4, 24.5, 24.2, 22.9, 20.8)
_STORM_SPEED_M_S = 8.0
_CENTRE = (10.98, 106.67)


def _of_month(day_of_year: Float64, table: tuple[float, ...]) -> Float64:
    middle = (np.arange(12) + 0.5) * (365.2425 / 12)
    value: Float64 = np.interp(day_of_year, middle, table, period=365.2425)
    return value


class Weather:
    """The weather of a region; ``seed`` determines all random choices."""

    def __init__(
        self, seed: int, episodes: tuple[Episode, ...] = (), offset_s: float = LOCAL_OFFSET_S
    ) -> None:
        self._seed = seed
        self._offset_s = offset_s
        self._episodes = tuple(
            e
            for e in episodes
            if not (e.wind_from_deg is None and e.wind_m_s is None and e.rain_mm_h is None)
        )
        self._storm_day = lru_cache(maxsize=512)(self._make_storm_day)

    def local(self, time_s: Float64) -> LocalTime:
        """Local time of the region."""
        return LocalTime.of(time_s, self._offset_s)

    def rain_mm_h(self, place: Place, time_s: Float64) -> Float64:
        """Rain intensity at a place."""
        local = self.local(time_s)
        rate = np.zeros_like(time_s)
        for day in np.unique(local.day):
            here = local.day == day
            rate[here] = np.interp(
                local.second[here], _MINUTES, self._storm_day(place, int(day))[0]
            )
        for episode in self._episodes:
            if episode.rain_mm_h is not None and episode.concerns(place):
                rate = rate + episode.rain_mm_h * episode.strength(time_s)
        return rate

    def rain_mm(self, place: Place, time_s: Float64, since_day: int) -> Float64:
        """Rain at a place since the beginning of a local day."""
        local = self.local(time_s)
        total = np.zeros_like(time_s)
        for day in np.unique(local.day):
            here = local.day == day
            before = sum(self._storm_day(place, d)[1][-1] for d in range(since_day, int(day)))
            so_far = np.interp(local.second[here], _MINUTES, self._storm_day(place, int(day))[1])
            total[here] = before + so_far
        for episode in self._episodes:
            if episode.rain_mm_h is not None and episode.concerns(place):
                total = total + _fallen(episode, episode.rain_mm_h, time_s)
        return total

    def temperature_c(self, place: Place, time_s: Float64) -> Float64:
        """Air temperature: season, hour, passing air masses, cooling by showers."""
        local = self.local(time_s)
        dryness = 1.0 - _of_month(local.day_of_year, _STORM_CHANCE)
        curve = over_the_day(
            local.hour,
            [(0, -2.3), (3, -3.2), (5.8, -3.8), (8, -1.2), (10, 1.8), (12, 3.8), (13.5, 4.4),
             (15, 4.0), (17, 2.2), (19, 0.2), (22, -1.5)],
        )  # fmt: skip
        mean = _of_month(local.day_of_year, _MONTH_MEAN)
        masses = wander(key_of(self._seed, "air mass"), time_s, 4 * 86400.0)
        gusts = wander(key_of(self._seed, place.name, "thermals"), time_s, 900.0)
        wet = np.minimum(self.rain_mm_h(place, time_s - 600.0), 40.0)
        return mean + curve * (0.8 + 0.4 * dryness) + 0.8 * masses + 0.25 * gusts - 0.12 * wet

    def dew_point_c(self, place: Place, time_s: Float64) -> Float64:
        """Dew point of the air."""
        local = self.local(time_s)
        masses = wander(key_of(self._seed, "moisture"), time_s, 3 * 86400.0)
        dew = _of_month(local.day_of_year, _MONTH_DEW) + 0.9 * masses
        wet = np.minimum(self.rain_mm_h(place, time_s - 600.0), 10.0)
        return np.minimum(dew + 0.05 * wet, self.temperature_c(place, time_s) - 0.3)

    def humidity_percent(self, place: Place, time_s: Float64) -> Float64:
        """Relative humidity, from temperature and dew point (Magnus formula)."""
        t, dew = self.temperature_c(place, time_s), self.dew_point_c(place, time_s)
        ratio = np.exp(17.62 * dew / (243.12 + dew) - 17.62 * t / (243.12 + t))
        wet = np.minimum(self.rain_mm_h(place, time_s), 8.0)
        return np.clip(100.0 * ratio + 1.2 * wet, 15.0, 99.0)

    def pressure_hpa(self, place: Place, time_s: Float64) -> Float64:
        """Pressure with two waves a day."""
        local = self.local(time_s)
        tide = 1.4 * np.cos(2.0 * np.pi * (local.hour - 10.0) / 12.0)
        season = 2.2 * np.cos(2.0 * np.pi * (local.day_of_year - 10.0) / 365.2425)
        slow = 1.2 * wander(key_of(self._seed, "pressure"), time_s, 5 * 86400.0)
        pressure: Float64 = 1009.6 + tide + season + slow - place.height_m * 0.118
        return pressure

    def wind_m_s(self, place: Place, time_s: Float64) -> Float64:
        """Mean wind speed."""
        local = self.local(time_s)
        curve = over_the_day(
            local.hour, [(0, 0.9), (6, 0.8), (9, 1.9), (13, 3.0), (16, 2.8), (19, 1.7), (22, 1.1)]
        )
        slow = wander(key_of(self._seed, "wind"), time_s, 43200.0)
        quick = wander(key_of(self._seed, place.name, "wind"), time_s, 240.0)
        storm = 0.09 * np.minimum(self.rain_mm_h(place, time_s + 420.0), 60.0)
        speed = np.maximum(curve * np.exp(0.25 * slow + 0.22 * quick) + storm, 0.05)
        return self._replaced(place, time_s, speed, "wind_m_s")

    def gust_m_s(self, place: Place, time_s: Float64) -> Float64:
        """The strongest gust of the last seconds."""
        quick = wander(key_of(self._seed, place.name, "gust"), time_s, 20.0, 2)
        return self.wind_m_s(place, time_s) * (1.35 + 0.12 * quick)

    def wind_from_deg(self, place: Place, time_s: Float64) -> Float64:
        """Wind direction: south-west in summer, north-east in winter."""
        local = self.local(time_s)
        # the monsoon turns about the middle of April and of October
        summer = 0.5 - 0.5 * np.cos(2.0 * np.pi * (local.day_of_year - 15.0) / 365.2425)
        steady = 45.0 + 190.0 * np.clip((summer - 0.25) * 2.0, 0.0, 1.0)
        slow = 28.0 * wander(key_of(self._seed, "direction"), time_s, 28800.0)
        quick = 12.0 * wander(key_of(self._seed, place.name, "direction"), time_s, 180.0)
        direction = steady + slow + quick
        return np.mod(self._replaced(place, time_s, direction, "wind_from_deg"), 360.0)

    def sun_w_m2(self, place: Place, time_s: Float64) -> Float64:
        """Global irradiance, reduced by clouds."""
        local = self.local(time_s)
        height = daylight(local.day_of_year, local.hour, place.latitude, place.longitude)
        up = np.maximum(height, 0.0)
        clear = 1098.0 * up * np.exp(-0.057 / np.maximum(up, 0.01))  # Haurwitz (1945)
        sun: Float64 = clear * (1.0 - 0.75 * self.clouds(place, time_s) ** 3.4)  # Kasten, Czeplak
        return sun

    def clouds(self, place: Place, time_s: Float64) -> Float64:
        """Cloud cover, 0 to 1."""
        local = self.local(time_s)
        wetness = _of_month(local.day_of_year, _STORM_CHANCE)
        wide = wander(key_of(self._seed, "clouds"), time_s, 10800.0)
        small = wander(key_of(self._seed, place.name, "clouds"), time_s, 600.0)
        rain = np.minimum(self.rain_mm_h(place, time_s + 900.0), 5.0)
        return np.clip(0.25 + 0.35 * wetness + 0.18 * wide + 0.14 * small + 0.15 * rain, 0.0, 1.0)

    def _replaced(self, place: Place, time_s: Float64, value: Float64, name: str) -> Float64:
        for episode in self._episodes:
            instead = getattr(episode, name)
            if instead is not None and episode.concerns(place):
                share = episode.strength(time_s)
                quick = wander(key_of(self._seed, place.name, episode.name, name), time_s, 150.0)
                if name == "wind_from_deg":
                    away = np.mod(instead + 4.0 * quick - value + 180.0, 360.0) - 180.0
                else:
                    away = instead * np.exp(0.15 * quick) - value
                value = value + share * away
        return value

    def _make_storm_day(self, place: Place, day: int) -> tuple[Float64, Float64]:
        """Rain of each minute of a day: intensity in mm/h, and the sum since midnight in mm."""
        dice = generator(self._seed, "storms", day)
        chance = _of_month(np.array([day % 365.2425]), _STORM_CHANCE)[0]
        rate = np.zeros(len(_MINUTES))
        for number in range(3):
            falls = dice.random() < chance * (0.9, 0.35, 0.12)[number]
            middle = float(np.clip(dice.normal(15.8, 2.6), 1.0, 21.0)) * 3600.0
            length = float(dice.uniform(1200.0, 5400.0))
            peak = float(np.clip(dice.lognormal(2.7, 0.6), 2.0, 90.0))
            heading = np.radians(dice.uniform(20.0, 80.0))  # storms come from the south-west
            if not falls:
                continue
            east, north = place.metres_from(*_CENTRE)
            lag = (east * np.sin(heading) + north * np.cos(heading)) / _STORM_SPEED_M_S
            share = 0.35 + 0.65 * float(generator(self._seed, day, number, place.name).random())
            x = np.maximum((_MINUTES - middle - lag) / (0.25 * length), 0.0)
            rate += peak * share * (x * np.exp(1.0 - x)) ** 2
        rate[rate < 0.1] = 0.0
        total = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2.0 / 60.0)))
        return rate, total


_MINUTES: Float64 = np.arange(0.0, 86401.0, 60.0)


def _fallen(episode: Episode, rain_mm_h: float, time_s: Float64) -> Float64:
    steps = np.linspace(episode.start_s, episode.end_s, 400)
    rate = rain_mm_h * episode.strength(steps)
    total = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2.0)))
    total *= (steps[1] - steps[0]) / 3600.0
    fallen: Float64 = np.interp(time_s, steps, total)
    return fallen
