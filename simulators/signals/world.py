"""True values of every quantity at every place and time, in canonical units."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from simulators.signals.air import Air
from simulators.signals.curves import over_the_day
from simulators.signals.episodes import Episode, plume_delay_s, plume_ug_m3
from simulators.signals.outfall import Outfall
from simulators.signals.places import LOCAL_OFFSET_S, LocalTime, Place
from simulators.signals.power import Power
from simulators.signals.randomness import Float64, Int64, key_of, wander
from simulators.signals.traffic import Road, RoadDay
from simulators.signals.weather import Weather

Signal = Callable[["World", Place, Float64], Float64]


class World:
    """One region and the true values of its quantities.

    Deterministic: a value depends only on the seed, the episodes, the place and the time.
    Counters start at local midnight of the day of ``start_s``.
    """

    def __init__(
        self,
        seed: int,
        start_s: float,
        episodes: tuple[Episode, ...] = (),
        offset_s: float = LOCAL_OFFSET_S,
    ) -> None:
        self.seed = seed
        self.start_s = start_s
        self.offset_s = offset_s
        self.episodes = episodes
        self.since_day = int((start_s + offset_s) // 86400)
        self.weather = Weather(seed, episodes, offset_s)
        self.air = Air(seed, self.weather)
        self.outfall = Outfall(seed, self.weather, offset_s)
        self.power = Power(seed, self.weather)
        self.road = lru_cache(maxsize=256)(self._make_road)

    def _make_road(self, place: Place) -> Road:
        return Road(self.seed, place, self.episodes, self.offset_s)

    def values(self, place: Place, quantity: str, time_ms: Int64) -> Float64:
        """True values of a quantity at ``time_ms`` (any integers), episodes included."""
        time_s = np.asarray(time_ms, dtype=np.float64) / 1000.0
        value = _signal(quantity)(self, place, time_s)
        for episode in self.episodes:
            if episode.start_s > time_s[-1] or not episode.concerns(place):
                continue
            value = self._with_episode(episode, place, quantity, time_s, value)
        return value

    def _with_episode(
        self, episode: Episode, place: Place, quantity: str, time_s: Float64, value: Float64
    ) -> Float64:
        if quantity in episode.times or quantity in episode.add:
            strength = episode.strength(time_s)
            flicker = wander(key_of(self.seed, episode.name, place.name), time_s, 25.0, 2)
            strength = strength * (1.0 + 0.05 * flicker)
            value = value * (1.0 + (episode.times.get(quantity, 1.0) - 1.0) * strength)
            value = value + episode.add.get(quantity, 0.0) * strength
        leak = episode.leak
        if leak is not None and quantity in leak.grams_per_s:
            wind = self.weather.wind_m_s(place, time_s)
            gas = plume_ug_m3(
                leak, place, leak.grams_per_s[quantity],
                self.weather.wind_from_deg(place, time_s), wind,
            )  # fmt: skip
            # a plume arrives later than it left
            delay = plume_delay_s(leak, place, float(np.median(wind)))
            value = value + gas * episode.strength(time_s, delay)
        return value

    def wander(self, place: Place, what: str, time_s: Float64, period_s: float) -> Float64:
        """A random walk for a quantity at a place."""
        return wander(key_of(self.seed, place.name, what), time_s, period_s)

    def _over_days(
        self, place: Place, time_s: Float64, of_day: Callable[[RoadDay, Float64, int], Float64]
    ) -> Float64:
        road = self.road(place)
        local = LocalTime.of(time_s, self.offset_s)
        result = np.zeros_like(time_s)
        for day in np.unique(local.day):
            here = local.day == day
            result[here] = of_day(road.day(int(day)), local.second[here], int(day))
        return result

    def vehicle_count(self, place: Place, time_s: Float64) -> Float64:
        """The number of vehicles since the beginning of the first day."""

        def of_day(track: RoadDay, second: Float64, day: int) -> Float64:
            road = self.road(place)
            before = sum(len(road.day(d).arrival_s) for d in range(self.since_day, day))
            return before + track.before(second).astype(np.float64)

        return self._over_days(place, time_s, of_day)

    def vehicle_flow(self, place: Place, time_s: Float64, window_s: float = 300.0) -> Float64:
        """Vehicles an hour, from the last minutes."""

        def of_day(track: RoadDay, second: Float64, _day: int) -> Float64:
            begin = np.maximum(second - window_s, 0.0)
            count = track.before(second) - track.before(begin)
            flow: Float64 = count * 3600.0 / np.maximum(second - begin, 60.0)
            return flow

        return self._over_days(place, time_s, of_day)

    def vehicle_speed(self, place: Place, time_s: Float64, window_s: float = 60.0) -> Float64:
        """Mean speed of the vehicles of the last minute; without any, that of the last vehicle."""

        def of_day(track: RoadDay, second: Float64, _day: int) -> Float64:
            total = np.concatenate(([0.0], np.cumsum(track.speed_km_h)))
            last = track.before(second)
            first = np.minimum(track.before(second - window_s), np.maximum(last - 1, 0))
            mean: Float64 = (total[last] - total[first]) / np.maximum(last - first, 1)
            return np.where(last > 0, mean, place.free_speed_km_h)

        return self._over_days(place, time_s, of_day)

    def headway(self, place: Place, time_s: Float64) -> Float64:
        """Seconds between the last two vehicles."""

        def of_day(track: RoadDay, second: Float64, _day: int) -> Float64:
            last = np.maximum(track.before(second) - 1, 0)
            if len(track.arrival_s) < 2:
                return np.full_like(second, 600.0)
            gaps: Float64 = track.arrival_s[last] - track.arrival_s[np.maximum(last - 1, 0)]
            return np.clip(gaps, 0.1, 600.0)

        return self._over_days(place, time_s, of_day)

    def occupancy(self, place: Place, time_s: Float64) -> Float64:
        """Share of time with a vehicle over a 2 m loop, %, four lanes."""

        def of_day(track: RoadDay, second: Float64, _day: int) -> Float64:
            over = (track.length_m + 2.0) / (np.maximum(track.speed_km_h, 3.0) / 3.6)
            total = np.concatenate(([0.0], np.cumsum(over)))
            share = (total[track.before(second)] - total[track.before(second - 60.0)]) / 240.0
            return np.clip(100.0 * share, 0.0, 100.0)

        return self._over_days(place, time_s, of_day)

    def queue_length(self, place: Place, time_s: Float64) -> Float64:
        """Length of the queue, m."""

        def of_day(track: RoadDay, second: Float64, _day: int) -> Float64:
            queue: Float64 = np.interp(second, np.arange(1440) * 60.0 + 60.0, track.queue_m)
            return queue

        return self._over_days(place, time_s, of_day)

    def laeq(self, place: Place, time_s: Float64, window_s: int = 1) -> Float64:
        """Equivalent sound level of the last seconds, including rain."""

        def of_day(track: RoadDay, second: Float64, _day: int) -> Float64:
            energy = np.concatenate(([0.0], np.cumsum(10.0 ** (track.noise_db / 10.0))))
            last = np.clip(second.astype(np.int64) + 1, 1, 86400)
            first = np.maximum(last - window_s, 0)
            level: Float64 = 10.0 * np.log10((energy[last] - energy[first]) / (last - first))
            return level

        level = self._over_days(place, time_s, of_day)
        drops = 38.0 + 9.0 * np.log10(1.0 + self.weather.rain_mm_h(place, time_s))
        loud: Float64 = 10.0 * np.log10(10.0 ** (level / 10.0) + 10.0 ** (drops / 10.0))
        return loud

    def level_exceeded(
        self, place: Place, time_s: Float64, percent: float, window_s: int = 300
    ) -> Float64:
        """Level exceeded in ``percent`` of the last minutes (0: the maximum, 100: the minimum)."""

        def of_day(track: RoadDay, second: Float64, _day: int) -> Float64:
            minutes, which = np.unique((second // 60.0).astype(np.int64), return_inverse=True)
            levels = np.empty(len(minutes))
            for i, minute in enumerate(minutes):
                end = min((int(minute) + 1) * 60, 86400)
                past = track.noise_db[max(end - window_s, 0) : end]
                levels[i] = np.percentile(past, 100.0 - percent)
            result: Float64 = levels[which]
            return result

        return self._over_days(place, time_s, of_day)


def _of(part: str, name: str) -> Signal:
    def signal(world: World, place: Place, time_s: Float64) -> Float64:
        value: Float64 = getattr(getattr(world, part), name)(place, time_s)
        return value

    return signal


def _around(
    mean: float, swing: float, period_s: float, low: float = 0.0, day: float = 0.0
) -> Callable[[str], Signal]:
    """A quantity without a model of its own: a mean, a slow random walk, a daily wave."""

    def make(quantity: str) -> Signal:
        def signal(world: World, place: Place, time_s: Float64) -> Float64:
            hour = LocalTime.of(time_s, world.offset_s).hour
            wave = day * over_the_day(hour, [(0, -0.6), (6, -1.0), (13, 1.0), (19, 0.2)])
            walk = world.wander(place, quantity, time_s, period_s)
            return np.maximum(mean + wave + swing * walk, low)

        return signal

    return make


def _outfall_share(name: str, factor: float, offset: float = 0.0) -> Signal:
    def signal(world: World, place: Place, time_s: Float64) -> Float64:
        value: Float64 = getattr(world.outfall, name)(place, time_s)
        return offset + factor * value

    return signal


def _soil_moisture(world: World, place: Place, time_s: Float64) -> Float64:
    days = np.arange(0, 8)
    wet = sum(
        np.minimum(world.weather.rain_mm_h(place, time_s - d * 10800.0), 15.0) * np.exp(-d / 3)
        for d in days
    )
    walk = 1.5 * world.wander(place, "soil", time_s, 86400.0)
    moisture: Float64 = np.clip(27.0 + 0.6 * wet + walk, 5.0, 55.0)
    return moisture


def _soil_temperature(world: World, place: Place, time_s: Float64) -> Float64:
    hours = (2, 6, 10, 14, 18)
    past = np.stack([world.weather.temperature_c(place, time_s - h * 3600.0) for h in hours])
    temperature: Float64 = past.mean(axis=0) + 0.4
    return temperature


def _uv_index(world: World, place: Place, time_s: Float64) -> Float64:
    return np.power(world.weather.sun_w_m2(place, time_s) / 1000.0, 1.25) * 12.5


def _constant(name: str) -> Signal:
    def signal(_world: World, place: Place, time_s: Float64) -> Float64:
        return np.full_like(time_s, getattr(place, name))

    return signal


SIGNALS: Mapping[str, Signal] = {
    **{n: _of("air", n) for n in ("pm1", "pm2_5", "pm4", "pm10", "no2", "co", "so2", "o3", "nh3",
                                  "h2s", "voc")},
    "co2": _of("air", "co2_ppm"),
    "no": lambda w, p, t: 0.35 * w.air.no2(p, t),
    "nox": lambda w, p, t: 1.54 * w.air.no2(p, t),
    "formaldehyde": lambda w, p, t: 0.09 * w.air.voc(p, t),
    "air_temperature": _of("weather", "temperature_c"),
    "relative_humidity": _of("weather", "humidity_percent"),
    "dew_point": _of("weather", "dew_point_c"),
    "atmospheric_pressure": _of("weather", "pressure_hpa"),
    "wind_speed": _of("weather", "wind_m_s"),
    "wind_gust": _of("weather", "gust_m_s"),
    "wind_direction": _of("weather", "wind_from_deg"),
    "precipitation": lambda w, p, t: w.weather.rain_mm(p, t, w.since_day),
    "precipitation_rate": _of("weather", "rain_mm_h"),
    "solar_irradiance": _of("weather", "sun_w_m2"),
    "illuminance": lambda w, p, t: 118.0 * w.weather.sun_w_m2(p, t) + 2.0,
    "uv_index": _uv_index,
    "laeq": lambda w, p, t: w.laeq(p, t),
    "lamax": lambda w, p, t: w.level_exceeded(p, t, 0.0),
    "lamin": lambda w, p, t: w.level_exceeded(p, t, 100.0),
    "la10": lambda w, p, t: w.level_exceeded(p, t, 10.0),
    "la50": lambda w, p, t: w.level_exceeded(p, t, 50.0),
    "la90": lambda w, p, t: w.level_exceeded(p, t, 90.0),
    "water_temperature": _of("outfall", "temperature_c"),
    "ph": _of("outfall", "ph"),
    "dissolved_oxygen": _of("outfall", "oxygen"),
    "dissolved_oxygen_saturation": _of("outfall", "oxygen_saturation"),
    "conductivity": _of("outfall", "conductivity"),
    "turbidity": _of("outfall", "turbidity"),
    "orp": _outfall_share("load", -90.0, 260.0),
    "cod": _of("outfall", "cod"),
    "bod5": _of("outfall", "bod5"),
    "tss": _of("outfall", "tss"),
    "ammonium": _of("outfall", "ammonium"),
    "nitrate": _outfall_share("load", 3.0, 8.0),
    "total_nitrogen": _outfall_share("ammonium", 2.2, 6.0),
    "total_phosphorus": _outfall_share("load", 1.1, 1.6),
    "free_chlorine": _around(0.6, 0.12, 7200.0)("free_chlorine"),
    "chlorophyll_a": _around(8.0, 1.5, 86400.0, 0.1, 2.0)("chlorophyll_a"),
    "colour": _outfall_share("load", 28.0, 22.0),
    "total_dissolved_solids": _outfall_share("conductivity", 0.64),
    "water_level": _of("outfall", "level_m"),
    "distance": _outfall_share("level_m", -1.0, 3.2),
    "flow_velocity": _outfall_share("flow_m3_h", 0.012, 0.1),
    "flow_rate": _of("outfall", "flow_m3_h"),
    "volume": lambda w, p, t: w.outfall.volume_m3(p, t, w.since_day),
    "dust": _around(38.0, 6.0, 3600.0, 1.0, 4.0)("dust"),
    "oxygen": _around(11.2, 0.6, 1800.0, 0.5)("oxygen"),
    "stack_temperature": _around(148.0, 6.0, 3600.0, 30.0, 4.0)("stack_temperature"),
    "stack_flow": _around(42000.0, 1800.0, 3600.0, 0.0, 2500.0)("stack_flow"),
    "vehicle_count": World.vehicle_count,
    "vehicle_flow": lambda w, p, t: w.vehicle_flow(p, t),
    "vehicle_speed": lambda w, p, t: w.vehicle_speed(p, t),
    "speed_p85": lambda w, p, t: 1.14 * w.vehicle_speed(p, t, 300.0),
    "occupancy": World.occupancy,
    "headway": World.headway,
    "queue_length": World.queue_length,
    "voltage": _of("power", "voltage"),
    "battery_voltage": _of("power", "battery_voltage"),
    "current": _of("power", "current"),
    "active_power": _of("power", "active_power"),
    "apparent_power": _of("power", "apparent_power"),
    "reactive_power": _of("power", "reactive_power"),
    "power_factor": _of("power", "power_factor"),
    "frequency": _of("power", "frequency"),
    "energy": lambda w, p, t: w.power.energy_kwh(p, t, w.since_day * 86400.0 - w.offset_s),
    "battery_level": _of("power", "battery_level"),
    "cabinet_temperature": _of("power", "cabinet_c"),
    "battery_temperature": lambda w, p, t: 0.7 * w.power.cabinet_c(p, t) + 9.0,
    "soil_moisture": _soil_moisture,
    "soil_temperature": _soil_temperature,
    "soil_conductivity": _around(310.0, 35.0, 86400.0, 10.0)("soil_conductivity"),
    "soil_ph": _around(5.9, 0.1, 7 * 86400.0, 3.0)("soil_ph"),
    "soil_nitrogen": _around(42.0, 4.0, 7 * 86400.0)("soil_nitrogen"),
    "soil_phosphorus": _around(18.0, 2.0, 7 * 86400.0)("soil_phosphorus"),
    "soil_potassium": _around(96.0, 7.0, 7 * 86400.0)("soil_potassium"),
    "latitude": _constant("latitude"),
    "longitude": _constant("longitude"),
    "altitude": _constant("height_m"),
    "signal_strength": _around(-71.0, 5.0, 1800.0, -120.0)("signal_strength"),
    "uptime": lambda w, _p, t: np.maximum(t - w.start_s, 0.0),
    "status": lambda _w, _p, t: np.zeros_like(t),
}  # fmt: skip


def _signal(quantity: str) -> Signal:
    found = SIGNALS.get(quantity)
    return found if found is not None else _around(10.0, 1.0, 3600.0)(quantity)
