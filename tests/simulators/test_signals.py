"""The simulated world: the same for a seed, and such as a person who lives there would believe."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.signals.episodes import Episode, Leak
from simulators.signals.places import Place
from simulators.signals.randomness import normal, uniform, wander
from simulators.signals.sensors import Sensor
from simulators.signals.world import World
from telemetry.quantities import QUANTITIES

DAY_S = 1_773_075_600.0  # 2026-03-10 00:00 in Việt Nam, a Tuesday of the dry season
WET_S = 1_785_171_600.0  # 2026-07-28 00:00, the rainy season
NEAR = Place("near", 10.98, 106.65, traffic=1.0)
FAR = Place("far", 11.12, 106.61, traffic=0.2)
# no quantity leaves this range on any ordinary day
PLAUSIBLE = {
    "air_temperature": (18, 40), "relative_humidity": (30, 99), "atmospheric_pressure": (1000, 1018),
    "wind_speed": (0, 15), "wind_direction": (0, 360), "pm2_5": (2, 120), "pm10": (4, 200),
    "no2": (2, 150), "o3": (2, 220), "co": (150, 5000), "laeq": (35, 95), "ph": (5.8, 9),
    "cod": (20, 110), "dissolved_oxygen": (0.2, 8), "voltage": (205, 245), "frequency": (49.8, 50.2),
    "vehicle_speed": (4, 72), "solar_irradiance": (0, 1150), "battery_voltage": (11.5, 14),
    "cabinet_temperature": (18, 60), "conductivity": (500, 2200), "uv_index": (0, 15),
}  # fmt: skip


def day(
    world: World, place: Place, quantity: str, start_s: float = DAY_S, step_s: int = 300
) -> np.ndarray:
    times = (start_s * 1000 + np.arange(0, 86400, step_s) * 1000).astype(np.int64)
    return world.values(place, quantity, times)


@pytest.mark.parametrize("quantity", sorted(QUANTITIES))
def test_every_quantity_has_a_believable_day(quantity: str) -> None:
    for seed, start_s in ((1, DAY_S), (2, WET_S)):
        world = World(seed, start_s)
        values = day(world, NEAR, quantity, start_s, 900)
        assert np.isfinite(values).all()
        low, high = PLAUSIBLE.get(quantity, (-1e9, 1e9))
        assert low <= values.min() <= values.max() <= high
        if QUANTITIES[quantity].cumulative:
            assert (np.diff(values) >= -1e-9).all()


@given(st.integers(0, 2**40), st.lists(st.integers(0, 86_399), min_size=1, max_size=40))
def test_a_value_depends_on_the_time_and_not_on_who_asked_before(
    seed: int, seconds: list[int]
) -> None:
    times = (DAY_S * 1000 + np.array(seconds) * 1000).astype(np.int64)
    world = World(seed % 5, DAY_S)
    together = world.values(NEAR, "pm2_5", times)
    alone = [World(seed % 5, DAY_S).values(NEAR, "pm2_5", times[[i]])[0] for i in (0, -1)]
    assert [together[0], together[-1]] == pytest.approx(alone, rel=1e-12)


def test_another_seed_is_another_world() -> None:
    assert not np.array_equal(day(World(1, DAY_S), NEAR, "no2"), day(World(2, DAY_S), NEAR, "no2"))


def test_nights_are_cool_and_dark_and_afternoons_hot() -> None:
    temperature, sun = (
        day(World(4, DAY_S), NEAR, q) for q in ("air_temperature", "solar_irradiance")
    )
    hour = np.arange(0, 86400, 300) / 3600
    assert (
        temperature[(hour > 4) & (hour < 6)].mean() + 5
        < temperature[(hour > 13) & (hour < 15)].mean()
    )
    assert sun[(hour < 5) | (hour > 19)].max() == 0
    assert sun[(hour > 11) & (hour < 13)].mean() > 300


def test_rush_hours_slow_the_road_and_quiet_sunday_mornings_do_not() -> None:
    jam = Place("jam", 10.9, 106.7, traffic=1.0, vehicles_per_h=2900, capacity_per_h=2700)
    world = World(5, DAY_S)
    hour = np.arange(0, 86400, 300) / 3600
    speed, queue, flow = (
        day(world, jam, q) for q in ("vehicle_speed", "queue_length", "vehicle_flow")
    )
    rush, night = (hour > 17.2) & (hour < 18.2), (hour > 1) & (hour < 4)
    assert speed[rush].mean() < 0.75 * speed[night].mean()
    assert queue[rush].max() > 50
    assert queue[night].max() < 1
    assert flow[rush].mean() > 5 * flow[night].mean()
    sunday = day(world, jam, "vehicle_flow", DAY_S + 5 * 86400)
    morning = (hour > 6.5) & (hour < 7.5)
    assert sunday[morning].mean() < 0.8 * flow[morning].mean()


def test_what_passes_is_what_is_counted_heard_and_queued() -> None:
    world = World(6, DAY_S)
    track = world.road(NEAR).day(world.since_day)
    count = day(world, NEAR, "vehicle_count", DAY_S, 60)
    assert count[-1] == pytest.approx(len(track.arrival_s), abs=40)
    assert (np.diff(track.arrival_s) >= 0).all()
    shares = np.bincount(track.kind, minlength=4) / len(track.kind)
    assert shares[0] > 0.7  # motorbikes
    assert shares[3] < 0.1
    loud = day(world, NEAR, "laeq", DAY_S, 1)
    hour = np.arange(86400) / 3600
    night, rush = (
        10 * np.log10((10 ** (loud[m] / 10)).mean())
        for m in ((hour < 4), (hour > 17) & (hour < 18))
    )
    assert 55 < night + 3 < rush < 80
    quiet = day(world, FAR, "laeq", DAY_S, 1)
    assert quiet.mean() + 3 < loud.mean()


def test_a_storm_passes_over_the_stations_one_after_the_other() -> None:
    world = World(9, WET_S)
    west, east = Place("west", 10.90, 106.55), Place("east", 11.00, 106.85)
    for number in range(30):
        start = WET_S + number * 86400
        times = (start * 1000 + np.arange(0, 86400, 60) * 1000).astype(np.int64)
        here, there = (world.values(p, "precipitation_rate", times) for p in (west, east))
        if here.max() > 5 and there.max() > 2:
            assert np.argmax(there > 1) > np.argmax(here > 1)
            fallen = world.values(west, "precipitation", times)
            assert fallen[-1] - fallen[0] == pytest.approx(here.sum() / 60, rel=0.02)
            return
    raise AssertionError("no storm within a month of the rainy season")


def test_stations_under_one_sky_see_the_same_weather() -> None:
    world = World(3, DAY_S)
    for quantity in ("air_temperature", "relative_humidity", "atmospheric_pressure", "pm2_5"):
        here, there = day(world, NEAR, quantity), day(world, FAR, quantity)
        assert np.corrcoef(here, there)[0, 1] > 0.75, quantity


def test_rain_washes_dust_out_and_wind_thins_it() -> None:
    start = DAY_S + 12 * 3600
    rain = Episode("rain", start, 60, 1800, 60, rain_mm_h=40)
    times = np.array([(start + 1500) * 1000], dtype=np.int64)
    dry, wet = World(2, DAY_S), World(2, DAY_S, (rain,))
    assert wet.values(NEAR, "pm2_5", times)[0] < 0.6 * dry.values(NEAR, "pm2_5", times)[0]
    wind = Episode("wind", start, 60, 1800, 60, wind_m_s=12)
    windy = World(2, DAY_S, (wind,))
    assert windy.values(NEAR, "no2", times)[0] < 0.9 * dry.values(NEAR, "no2", times)[0]


def test_a_leak_is_smelt_downwind_after_the_wind_took_its_time() -> None:
    start = DAY_S + 14 * 3600
    leak = Leak(10.99, 106.66, {"so2": 20.0})  # 1.5 km north-east of the place
    blows = Episode("wind", start - 600, 60, 7200, 60, wind_from_deg=45, wind_m_s=3)
    leaks = Episode("leak", start, 60, 1800, 300, leak=leak)
    world, clean = World(2, DAY_S, (blows, leaks)), World(2, DAY_S, (blows,))
    at = lambda s: np.array([(start + s) * 1000], dtype=np.int64)  # noqa: E731
    extra = {
        s: world.values(NEAR, "so2", at(s))[0] - clean.values(NEAR, "so2", at(s))[0]
        for s in (60, 1500, 9000)
    }
    assert extra[60] == pytest.approx(0, abs=1e-6)
    while_it_lasts = np.array([(start + s) * 1000 for s in range(900, 1800, 30)], dtype=np.int64)
    smelt = world.values(NEAR, "so2", while_it_lasts) - clean.values(NEAR, "so2", while_it_lasts)
    assert smelt.max() > 100
    assert smelt.std() > 10  # the wind meanders
    assert extra[9000] == pytest.approx(0, abs=1e-6)
    upwind = Place("upwind", 11.02, 106.69)
    assert world.values(upwind, "so2", at(1500))[0] == pytest.approx(
        clean.values(upwind, "so2", at(1500))[0]
    )


def test_batches_load_the_outfall() -> None:
    world = World(8, DAY_S)
    cod, flow, load = (day(world, FAR, q) for q in ("cod", "flow_rate", "orp"))
    assert np.corrcoef(cod, -load)[0, 1] > 0.6
    assert flow.max() > 1.5 * flow.min()
    volume = day(world, FAR, "volume")
    assert volume[-1] == pytest.approx(flow.mean() * 24, rel=0.1)


def test_sensors_warm_up_drift_and_saturate() -> None:
    sensor = Sensor(warm_up_s=60, drift_per_day=24.0, high=50.0)
    true = np.full(4, 20.0)
    read = sensor.read(1, true, np.array([0, 60_000, 3_600_000, 10 * 86_400_000]), 0)
    assert read[0] == 0
    assert read[1] == pytest.approx(19, abs=0.2)
    assert read[2] == pytest.approx(21, abs=0.01)
    assert read[3] == 50


def test_random_numbers_are_even_normal_and_smooth() -> None:
    even, bell = uniform(7, np.arange(20_000)), normal(7, np.arange(20_000))
    assert even.mean() == pytest.approx(0.5, abs=0.01)
    assert np.histogram(even, 10, (0, 1))[0].min() > 1800
    assert (bell.mean(), bell.std()) == (pytest.approx(0, abs=0.03), pytest.approx(1, abs=0.03))
    walk = wander(7, np.arange(0, 1e6, 10.0), 5000.0)
    assert walk.std() == pytest.approx(1, abs=0.2)
    assert np.abs(np.diff(walk)).max() < 0.1
