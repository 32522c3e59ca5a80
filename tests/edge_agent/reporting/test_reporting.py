"""Totals, averages, traffic figures and report filter."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import Profile
from edge_agent.configuration import DeviceConfiguration, ReportFilter
from edge_agent.devices import Device
from edge_agent.reporting.averages import Kind, Window, percentile, window_end_ms
from edge_agent.reporting.report_filter import MetricFilter
from edge_agent.reporting.reporting_steps import ReportingSteps, reported_metrics
from edge_agent.reporting.totals import Step, Total
from edge_agent.reporting.traffic import Sighting, TrafficWindow
from telemetry.quality import Flag
from telemetry.samples import Sample


def steps(total: Total, *readings: float, every_s: float = 10) -> list[tuple[float, Step]]:
    return [total.take(r, round(1e6 + i * every_s * 1000)) for i, r in enumerate(readings)]


def test_a_counter_that_only_grows_is_its_own_total() -> None:
    assert [v for v, _ in steps(Total(65536), 5, 7, 7, 100)] == [5, 7, 7, 100]


def test_a_counter_that_wraps_goes_on() -> None:
    result = steps(Total(65536), 65500, 65520, 4, 30)
    assert [v for v, _ in result] == [65500, 65520, 65540, 65566]
    assert result[2][1] is Step.WRAPPED


def test_a_counter_that_is_reset_goes_on_from_nothing() -> None:
    result = steps(Total(2**32), 1000, 1010, 3, 9)
    assert [v for v, _ in result] == [1000, 1010, 1013, 1019]
    assert result[2][1] is Step.RESET


def test_a_reset_near_the_end_of_a_slow_counter_is_not_taken_for_a_wrap() -> None:
    result = steps(Total(65536), 60000, 60002, 60003, 1)
    assert result[3] == (60004, Step.RESET)


def test_a_wrap_after_a_long_silence_is_believed_at_the_known_rate() -> None:
    total = Total(65536)
    steps(total, 50000, 50300, every_s=10)
    value, step = total.take(2000, 1_000_000 + 10_000 + 600_000)
    assert (value, step) == (65536 + 2000, Step.WRAPPED)


def test_a_small_step_back_holds_the_total() -> None:
    result = steps(Total(None), 500.0, 499.9, 500.2)
    assert [round(v, 3) for v, _ in result] == [500.0, 500.0, 500.3]
    assert result[1][1] is Step.BACK


def test_a_total_goes_on_after_a_restart() -> None:
    first = Total(65536)
    steps(first, 65500, 10)
    second = Total(65536)
    second.restore(first.state)
    assert second.take(12, 2_000_000)[0] == 65536 + 12
    second.restore("nonsense")
    second.restore([1, None, 3, 4])


@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=80),
    st.integers(0, 65535),
)
def test_a_wrapping_counter_never_loses_a_pulse(pulses: list[int], start: int) -> None:
    total, counted, register = Total(65536), 0, start
    total.fastest_per_s = 100.0
    total.take(start, 0)
    for i, n in enumerate(pulses):
        counted += n
        register = (register + n) % 65536
        value, _ = total.take(register, (i + 1) * 10_000)
        assert value == start + counted


# Report filter


def sample(value: float | None, time_s: float, flag: Flag = Flag.NOT_EVALUATED) -> Sample:
    return Sample("m", round(time_s * 1000), value, flag)


def passed(rule: ReportFilter, *samples: Sample) -> list[float | None]:
    keep = MetricFilter(rule)
    return [s.value for s in samples if keep.passes(s)]


def test_inside_the_dead_band_nothing_is_reported() -> None:
    rule = ReportFilter(dead_band=0.5)
    values = [sample(v, i) for i, v in enumerate((20.0, 20.3, 20.5, 20.9, 20.1, 19.9))]
    assert passed(rule, *values) == [20.0, 20.5, 19.9]


def test_a_dead_band_may_be_a_share_of_the_value() -> None:
    rule = ReportFilter(dead_band_percent=10)
    values = [sample(v, i) for i, v in enumerate((100.0, 109.0, 110.0, 0.0, 0.0))]
    assert passed(rule, *values) == [100.0, 110.0, 0.0]


def test_the_heartbeat_reports_a_constant_value() -> None:
    rule = ReportFilter.model_validate({"dead_band": 1, "heartbeat": "60s"})
    assert passed(rule, *(sample(5.0, t) for t in range(0, 200, 10))) == [5.0] * 4


def test_a_value_that_goes_missing_is_news() -> None:
    rule = ReportFilter(dead_band=1)
    samples = [
        sample(5, 0),
        sample(None, 1, Flag.MISSING),
        sample(None, 2, Flag.MISSING),
        sample(5, 3),
    ]
    assert passed(rule, *samples) == [5, None, 5]


# Averages


def filled(kind: Kind, *values: float) -> Window:
    window = Window(kind)
    for value in values:
        window.add(value)
    return window


def test_a_window_gives_mean_least_most_and_number() -> None:
    window = filled(Kind.MEAN, 1.0, 2.0, 6.0)
    assert window.close() == {"": 3.0, "/min": 1.0, "/max": 6.0, "/count": 3.0}
    assert window.close() == {}


def test_the_mean_of_directions_goes_around_north() -> None:
    assert filled(Kind.ANGLE, 350.0, 10.0).close()[""] == pytest.approx(0.0)
    assert filled(Kind.ANGLE, 80.0, 100.0).close()[""] == pytest.approx(90.0)


@given(st.lists(st.floats(0, 360), min_size=1, max_size=20))
def test_a_mean_direction_is_a_direction(degrees: list[float]) -> None:
    assert 0 <= filled(Kind.ANGLE, *degrees).close()[""] < 360


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50))
def test_a_mean_is_as_exact_as_if_all_readings_were_kept(values: list[float]) -> None:
    mean = filled(Kind.MEAN, *values).close()[""]
    exact = math.fsum(values) / len(values)
    assert mean == pytest.approx(exact, rel=1e-12, abs=1e-9)
    assert min(values) <= mean <= max(values)


def test_windows_lie_on_whole_multiples() -> None:
    assert window_end_ms(119_999, 60_000) == 120_000
    assert window_end_ms(120_000, 60_000) == 180_000


def test_percentiles_are_interpolated() -> None:
    assert percentile([10, 20, 30, 40], 0.5) == 25
    assert percentile([7], 0.85) == 7


# Traffic


def test_vehicles_become_the_figures_of_a_minute() -> None:
    window = TrafficWindow(60_000)
    for i, speed in enumerate((30.0, 40.0, 50.0, 60.0)):
        window.see(Sighting(10_000 * i, speed, inbound=True))
    figures = window.close()
    assert figures["flow"] == 240
    assert figures["vehicles"] == 4
    assert figures["mean_speed"] == 45
    assert figures["speed_p85"] == pytest.approx(55.5)
    assert figures["headway"] == 10
    expected = sum(5.0 / (v / 3.6) for v in (30, 40, 50, 60)) / 60 * 100
    assert figures["occupancy"] == pytest.approx(expected)


def test_an_empty_minute_has_a_flow_of_nothing_and_no_speed() -> None:
    figures = TrafficWindow(60_000).close()
    assert figures == {"flow": 0, "occupancy": 0, "vehicles": 0}


def test_many_reports_of_one_vehicle_are_one_vehicle() -> None:
    window = TrafficWindow(60_000)
    for i in range(20):
        window.see(Sighting(i * 80, 42.0 + 0.1 * i, inbound=True))
    for i in range(10):
        window.see(Sighting(500 + i * 80, 35.0, inbound=False))
    window.see(Sighting(9_000, 43.0, inbound=True))
    assert window.close()["vehicles"] == 3


def test_a_radar_that_tells_lengths_counts_classes() -> None:
    window = TrafficWindow(60_000)
    for i, length in enumerate((1.9, 2.1, 4.4, 12.0)):
        window.see(Sighting(i * 300, 40.0, None, length))
    figures = window.close()
    assert (figures["two_wheelers"], figures["cars"], figures["heavy"]) == (2, 1, 1)
    assert window.close()["heavy"] == 1, "totals go on"


# The whole way


def device(metrics: str, *, stream: bool = False, **settings: object) -> Device:
    from telemetry.yaml_files import parse_yaml

    protocol = "omnipresense" if stream else "modbus"
    domain = "traffic" if stream else "weather"
    text = (
        f"id: t\nmanufacturer: T\nmodel: T\ndomain: {domain}\nprotocol: {protocol}\n"
        f"source: test\nmetrics:\n{metrics}"
    )
    profile = parse_yaml(text, "t.yaml", Profile)
    configuration = DeviceConfiguration.model_validate(
        {"name": "d", "profile": "t", "interval": None if stream else "1s", **settings}
    )
    return Device("d", "b", profile, 1, 0 if stream else 1000, 0.5, configuration)


RAIN = "  - {name: rain, quantity: precipitation, unit: mm, address: 0, type: uint16, scale: 0.2}\n"
WIND = (
    "  - {name: speed, quantity: wind_speed, unit: m/s, address: 0, type: uint16}\n"
    "  - {name: dir, quantity: wind_direction, unit: deg, address: 1, type: uint16}\n"
)


def test_rain_goes_on_when_the_gauge_wraps_and_a_reset_is_reported() -> None:
    resets: list[tuple[str, float, float]] = []
    remembered: dict[str, object] = {}
    steps = ReportingSteps(device(RAIN), remembered, lambda *what: resets.append(what))
    top = 65535 * 0.2
    values = [
        steps.take([Sample("rain", t * 1000, v)])[0].value for t, v in enumerate((top, 0.0, 0.2))
    ]
    assert values == pytest.approx([top, 65536 * 0.2, 65537 * 0.2])
    steps.take([Sample("rain", 9000, 300.0)])
    assert steps.take([Sample("rain", 9500, 0.2)])[0].value == pytest.approx(65536 * 0.2 + 300.2)
    assert resets == [("rain", 300.0, 0.2)]
    again = ReportingSteps(device(RAIN), remembered, lambda *what: resets.append(what))
    assert again.take([Sample("rain", 10_000, 0.4)])[0].value == pytest.approx(65536 * 0.2 + 300.4)


def test_a_fast_sensor_is_averaged_and_says_so_in_its_birth() -> None:
    wind = device(WIND, aggregate={"every": "1m"})
    names = {m.name: (m.quantity, m.interval_ms) for m in reported_metrics(wind)}
    assert names["speed"] == ("wind_speed", 60_000)
    assert names["speed/max"] == ("unknown", 60_000)
    assert "dir/max" not in names
    steps = ReportingSteps(wind, {}, lambda *_: None)
    for i, (speed, direction) in enumerate(((2.0, 350.0), (4.0, 10.0))):
        time_ms = 600_000 + i * 1000
        assert not steps.take([Sample("speed", time_ms, speed), Sample("dir", time_ms, direction)])
    assert not steps.tick(660_500)
    reports = {s.metric: s for s in steps.tick(661_000)}
    assert reports["speed"].value == 3.0
    assert reports["speed"].time_ms == 660_000
    assert reports["speed/max"].value == 4.0
    assert math.isclose(reports["dir"].value or 0.0, 0.0, abs_tol=1e-6)
    assert set(reports) <= set(names)


def test_a_radar_is_reported_by_the_minute_also_when_nothing_passes() -> None:
    metrics = "".join(
        f"  - {{name: {n}, quantity: vehicle_speed, unit: km/h}}\n"
        for n in ("speed", "inbound_speed", "outbound_speed")
    )
    radar = device(metrics, stream=True, aggregate={"every": "1m"})
    names = {m.name for m in reported_metrics(radar)}
    steps = ReportingSteps(radar, {}, lambda *_: None)
    steps.resume(60_000_000)
    for t in (60_002_000, 60_010_000):
        steps.take([Sample("speed", t, 50.0), Sample("inbound_speed", t, 50.0)])
    steps.take([Sample("speed", 60_020_000, 40.0), Sample("outbound_speed", 60_020_000, 40.0)])
    reports = {s.metric: s.value for s in steps.tick(60_061_500)}
    assert reports["flow"] == 180
    assert reports["vehicles"] == 3
    assert set(reports) <= names
    quiet = {s.metric: s.value for s in steps.tick(60_121_500)}
    assert quiet == {"flow": 0, "occupancy": 0, "vehicles": 3, "completeness": 100}


def test_a_window_that_a_restart_cuts_goes_on_and_tells_what_it_has_missed() -> None:
    wind = device(WIND, aggregate={"every": "1m"})
    first = ReportingSteps(wind, {}, lambda *_: None)
    first.resume(600_000)
    first.take([Sample("speed", 601_000, 2.0), Sample("dir", 601_000, 350.0)])
    first.take([Sample("speed", 620_000, 6.0)])
    first.interrupt(630_000)
    second = ReportingSteps(wind, {}, lambda *_: None, first.open_window(630_000))
    second.resume(640_000)
    second.take([Sample("speed", 650_000, 1.0)])
    reports = {s.metric: s for s in second.tick(661_000)}
    assert reports["speed"].value == 3.0
    assert reports["speed/count"].value == 3
    assert reports["speed/max"].value == 6.0
    assert reports["dir"].value == pytest.approx(350.0)
    assert reports["completeness"].value == 83.3
    assert {s.flag for s in reports.values()} == {Flag.NOT_EVALUATED}
    assert {s.time_ms for s in reports.values()} == {660_000}
    assert set(reports) <= {m.name for m in reported_metrics(wind)}


def test_a_window_that_ended_while_nobody_ran_is_reported_with_what_it_has() -> None:
    wind = device(WIND, aggregate={"every": "1m"})
    first = ReportingSteps(wind, {}, lambda *_: None)
    first.resume(600_000)
    first.take([Sample("speed", 601_000, 2.0)])
    second = ReportingSteps(wind, {}, lambda *_: None, first.open_window(615_000))
    reports = {s.metric: s for s in second.tick(7_200_000)}
    assert (reports["speed"].value, reports["speed"].time_ms) == (2.0, 660_000)
    assert reports["completeness"].value == 25
    assert reports["speed"].flag is Flag.SUSPECT, "less than three quarters of it were heard"
    assert second.tick(7_300_000) == []


RADAR = "  - {name: speed, quantity: vehicle_speed, unit: km/h}\n"


def test_a_radar_that_was_gone_for_a_while_counts_what_it_saw_in_the_time_it_was_there() -> None:
    radar = device(RADAR, stream=True, aggregate={"every": "1m"})
    steps = ReportingSteps(radar, {}, lambda *_: None)
    steps.resume(60_000_000)
    for t in (60_002_000, 60_010_000):
        steps.take([Sample("speed", t, 50.0)])
    steps.interrupt(60_020_000)
    again = ReportingSteps(radar, {}, lambda *_: None, steps.open_window(60_020_000))
    again.resume(60_050_000)
    again.take([Sample("speed", 60_055_000, 50.0)])
    reports = {s.metric: s for s in again.tick(60_061_000)}
    assert reports["flow"].value == 3 * 3600 / 30
    assert reports["vehicles"].value == 3
    assert reports["completeness"].value == 50
    assert reports["flow"].flag is Flag.SUSPECT
    again.interrupt(60_062_000)
    again.tick(60_121_000)
    assert again.tick(60_181_000) == [], "nobody was there to see that nothing passed"
    again.resume(60_190_000)
    again.take([Sample("speed", 60_200_000, 50.0)])
    assert {s.metric: s.value for s in again.tick(60_241_000)}["vehicles"] == 4, "totals go on"


@given(st.text(max_size=30) | st.sampled_from(["{}", "[]", '{"every_ms": 60000}', "null"]))
def test_a_window_of_another_version_is_left(text: str) -> None:
    steps = ReportingSteps(device(WIND, aggregate={"every": "1m"}), {}, lambda *_: None, text)
    steps.take([Sample("speed", 601_000, 2.0)])
    assert {s.metric: s.value for s in steps.tick(661_000)}["speed"] == 2.0


def test_a_filtered_metric_announces_its_heartbeat_as_interval() -> None:
    filtered = device(WIND, report={"speed": {"dead_band": 0.5, "heartbeat": "5m"}})
    intervals = {m.name: m.interval_ms for m in reported_metrics(filtered)}
    assert intervals == {"speed": 300_000, "dir": 1000}
    steps = ReportingSteps(filtered, {}, lambda *_: None)
    taken = [
        [s.metric for s in steps.take([Sample("speed", t, 3.0), Sample("dir", t, 90.0)])]
        for t in (1000, 2000)
    ]
    assert taken == [["speed", "dir"], ["dir"]]


def test_windows_go_on_when_the_clock_is_set_back() -> None:
    steps = ReportingSteps(device(WIND, aggregate={"every": "1m"}), {}, lambda *_: None)
    steps.take([Sample("speed", 7_200_000, 2.0)])
    steps.take([Sample("speed", 3_600_500, 4.0)])
    reports = {s.metric: s for s in steps.tick(3_661_000)}
    assert reports["speed"].time_ms == 3_660_000


def test_a_clock_that_is_set_back_does_not_make_a_counter_seem_fast() -> None:
    total = Total(65536)
    total.take(100, 1_000_000)
    total.take(50_000, 500_000)
    assert total.fastest_per_s == 0
