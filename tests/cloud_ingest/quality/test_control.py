"""Quality control against ioos_qc as an oracle, in whatever portions samples come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ioos_qc import qartod as oracle

from cloud_ingest.quality import MarkedSpan, QualityControl, QualitySettings, load_settings
from telemetry.batches import SampleBatch
from telemetry.quality import Flag
from telemetry.series import Series, SeriesKey
from telemetry.yaml_files import YamlFileError

START = 1_795_000_000_000
MINUTE = 60_000
N = float("nan")


def control_of(tests, series=1, quantity="pm2_5", valid=None, marked=None):
    control = QualityControl(
        QualitySettings.model_validate({"quantities": {quantity: tests}}), marked
    )
    control.register(
        [
            Series(i, SeriesKey("g", f"d{i}", "m"), "bd", "s", quantity, "ug/m3", MINUTE, valid)
            for i in range(series)
        ]
    )
    return control


def flags_of(control, values, portion=1000, spacing=MINUTE):
    """Flags of one series as the store holds them in the end, corrections included."""
    found = {}
    for begin in range(0, len(values), portion):
        part = values[begin : begin + portion]
        time_ms = [START + (begin + i) * spacing for i in range(len(part))]
        batch = SampleBatch.of([0] * len(part), time_ms, part, [Flag.NOT_EVALUATED] * len(part))
        for result in (control.flag(batch, START + 10**9), control.take_corrections()):
            for t, q in zip(result.time_ms.tolist(), result.quality.tolist(), strict=True):
                found[t] = q
    return [found[t] for t in sorted(found)]


values_with_gaps = st.lists(
    st.one_of(st.floats(-20, 130, allow_nan=False).map(lambda v: round(v, 1)), st.just(N)),
    min_size=4,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(values_with_gaps, st.integers(1, 9))
def test_gross_range_agrees_with_the_oracle(values, portion):
    control = control_of({"fail": [0, 100], "suspect": [5, 50]})
    theirs = oracle.gross_range_test(inp=values, fail_span=(0, 100), suspect_span=(5, 50))
    assert flags_of(control, values, portion) == theirs.tolist()


@settings(max_examples=100, deadline=None)
@given(values_with_gaps, st.integers(1, 9))
def test_spikes_agree_with_the_oracle(values, portion):
    control = control_of({"fail": [-1e9, 1e9], "spike": {"suspect": 3, "fail": 8}})
    theirs = oracle.spike_test(
        inp=values, suspect_threshold=3, fail_threshold=8, method="differential"
    ).tolist()
    # where the oracle cannot tell, our range test has passed the sample
    expected = [1 if f == 2 else f for f in theirs]
    assert flags_of(control, values, portion) == expected


@settings(max_examples=100, deadline=None)
@given(values_with_gaps, st.integers(1, 9))
def test_rates_of_change_agree_with_the_oracle(values, portion):
    control = control_of({"fail": [-1e9, 1e9], "rate": {"suspect": 0.05, "fail": 0.3}})
    times = np.arange(len(values)) * np.timedelta64(60, "s") + np.datetime64("2026-11-23")
    theirs = oracle.rate_of_change_test(
        inp=values, tinp=times, threshold=0.05, fail_threshold=0.3
    ).tolist()
    assert flags_of(control, values, portion) == theirs


@pytest.mark.parametrize("portion", [1, 3, 100])
@pytest.mark.parametrize(
    "values",
    [
        [5.0] * 7,
        [6.0, 7.0, 8.0, 8.0005, 8.0007, 8.0001, 8.0003],
        [5.0, 5.0, N, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0],
        [5.0] * 7 + [6.0, 7.0, 8.0, 8.0005, 8.0007, 8.0001, 8.0003],
    ],
)
def test_flat_lines_agree_with_the_oracle(values, portion):
    tests = {"flat": {"tolerance": 0.001, "suspect": "180s", "fail": "300s"}}
    control = control_of({"fail": [-1e9, 1e9], **tests})
    times = np.arange(len(values)) * np.timedelta64(60, "s") + np.datetime64("2026-11-23")
    theirs = oracle.flat_line_test(
        inp=values, tinp=times, suspect_threshold=180, fail_threshold=300, tolerance=0.001
    )
    assert flags_of(control, values, portion) == theirs.tolist()


def test_a_level_shift_is_no_spike():
    control = control_of({"fail": [-1e9, 1e9], "spike": {"suspect": 3, "fail": 8}})
    assert flags_of(control, [1.0, 1, 1, 9, 9, 9], 1) == [1] * 6


def test_a_spike_becomes_a_correction_when_the_next_sample_arrives():
    control = control_of({"spike": {"suspect": 3}})
    early = SampleBatch.of([0, 0], [START, START + 1000], [10.0, 20.0], [2, 2])
    control.flag(early, START)
    assert len(control.take_corrections()) == 0
    control.flag(SampleBatch.of([0], [START + 2000], [10.0], [2]), START)
    found = control.take_corrections()
    assert (found.time_ms.tolist(), found.value.tolist()) == ([START + 1000], [20.0])
    assert found.quality.tolist() == [Flag.SUSPECT]


def test_an_attenuated_signal_makes_the_next_period_suspect():
    control = control_of({"attenuated": {"period": "5m", "suspect": 0.5, "fail": 0.1}})
    lively = [10.0, 12, 9, 13, 11] * 2
    dull = [10.0, 10.3, 9.9, 10.1, 10] * 2
    dead = [10.0, 10.01, 10, 10.02, 10.01] * 2
    flags = flags_of(control, lively + dull + dead)
    assert Flag.SUSPECT not in flags[:10]
    assert flags[16:20] == [Flag.SUSPECT] * 4
    assert flags[-4:] == [Flag.FAIL] * 4


def test_a_device_that_disagrees_with_its_neighbours_is_suspect():
    control = control_of({"neighbour": 20}, series=3)
    batch = SampleBatch.of([0, 1, 2], [START] * 3, [30.0, 35.0, 90.0], [2] * 3)
    assert control.flag(batch, START).quality.tolist() == [1, 1, 3]
    alone = control_of({"neighbour": 20}, series=1)
    assert alone.flag(batch.select(np.array([0])), START).quality.tolist() == [2]


def test_a_season_has_its_own_range():
    seasons = [{"months": [12, 1, 2], "suspect": [15, 35]}, {"months": [4, 5], "suspect": [22, 42]}]
    control = control_of({"climatology": seasons}, quantity="air_temperature")
    december, april = 1_796_100_000_000, 1_775_600_000_000
    batch = SampleBatch.of([0, 0], [december, december + 1], [40.0, 30.0], [2, 2])
    assert control.flag(batch, december).quality.tolist() == [3, 1]
    batch = SampleBatch.of([0], [april], [40.0], [2])
    assert control.flag(batch, april).quality.tolist() == [1]


def test_the_profiles_range_fails_what_the_sensor_cannot_measure():
    control = control_of({"suspect": [0, 800]}, valid=(0, 1000))
    batch = SampleBatch.of([0] * 4, range(START, START + 4), [500.0, 900.0, 1001.0, N], [2] * 4)
    assert control.flag(batch, START).quality.tolist() == [1, 3, 4, 9]


def test_without_a_test_nothing_is_evaluated_and_given_flags_stay():
    control = control_of({}, quantity="uptime")
    given = [Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL, Flag.MISSING]
    batch = SampleBatch.of([0] * 4, range(START, START + 4), [1.0] * 4, given)
    assert control.flag(batch, START).quality.tolist() == given


def test_a_sample_from_the_future_is_suspect():
    control = control_of({"fail": [0, 100]})
    batch = SampleBatch.of([0], [START + 3_600_000], [50.0], [2])
    assert control.flag(batch, START).quality.tolist() == [Flag.SUSPECT]


def test_samples_under_calibration_fail():
    spans = [MarkedSpan(None, "g", "d1", None, START + 10, START + 20)]
    control = control_of({"fail": [0, 100]}, series=2, marked=lambda: spans)
    batch = SampleBatch.of(
        [0, 1, 1, 1], [START + 15, START + 9, START + 10, START + 20], [50.0] * 4, [2] * 4
    )
    assert control.flag(batch, START).quality.tolist() == [1, 1, 4, 1]
    spans.clear()
    again = SampleBatch.of([1], [START + 30], [50.0], [2])
    assert control.flag(again, START + 5000).quality.tolist() == [1]


def test_late_samples_do_not_change_the_state():
    control = control_of({"fail": [0, 100], "rate": {"suspect": 0.5}})
    control.flag(SampleBatch.of([0], [START], [50.0], [2]), START)
    late = control.flag(SampleBatch.of([0], [START - 1000], [0.0], [2]), START)
    assert late.quality.tolist() == [1]
    now = control.flag(SampleBatch.of([0], [START + 1000], [50.0], [2]), START)
    assert now.quality.tolist() == [1]


def test_a_sample_with_a_repeated_time_is_no_neighbour():
    control = control_of({"fail": [-1e9, 1e9], "spike": {"suspect": 3}})
    time_ms = [START, START + MINUTE, START + MINUTE, START + 2 * MINUTE]
    batch = SampleBatch.of([0] * 4, time_ms, [10.0, 10.0, 30.0, 10.0], [Flag.NOT_EVALUATED] * 4)
    assert control.flag(batch, START + 10**9).quality.tolist() == [Flag.PASS] * 4


def test_an_override_changes_the_parameters_of_one_device(tmp_path):
    path = tmp_path / "quality.yaml"
    path.write_text(
        "quantities:\n  pm2_5: {fail: [0, 100]}\n"
        "overrides:\n  - {select: {device: d1}, fail: [0, 50]}\n"
    )
    control = QualityControl(load_settings(path))
    control.register(
        [Series(i, SeriesKey("g", f"d{i}", "m"), "bd", "s", "pm2_5", "ug/m3") for i in range(2)]
    )
    batch = SampleBatch.of([0, 1], [START, START], [70.0, 70.0], [2, 2])
    assert control.flag(batch, START).quality.tolist() == [1, 4]


def test_wrong_settings_are_named_with_their_line(tmp_path):
    path = tmp_path / "quality.yaml"
    path.write_text("quantities:\n  pm2_5: {spike: {suspct: 3}}\n")
    with pytest.raises(YamlFileError, match=r"quality.yaml:2"):
        load_settings(path)


def test_many_series_are_judged_as_each_alone():
    tests = {"fail": [-1e9, 1e9], "spike": {"suspect": 3}, "rate": {"suspect": 0.1},
             "flat": {"tolerance": 0.5, "suspect": "3m"}}  # fmt: skip
    rng = np.random.default_rng(4)
    data = np.round(rng.normal(10, 2, (5, 50)), 1)
    together = control_of(tests, series=5)
    series, time_ms = np.repeat(np.arange(5), 50), np.tile(START + np.arange(50) * MINUTE, 5)
    order = np.argsort(time_ms, kind="stable")
    batch = SampleBatch.of(series, time_ms, data.ravel(), np.full(250, 2)).select(order)
    flags = np.empty(250, np.uint8)
    flags[order] = together.flag(batch, START + 10**9).quality
    for i in range(5):
        assert flags_of(control_of(tests), data[i].tolist(), 7) == flags.reshape(5, 50)[i].tolist()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.3, -0.3, 0.4, 2.0, N]), min_size=4, max_size=60),
    st.integers(1, 9),
)
def test_slow_drift_and_rest_get_the_same_flags_in_any_portions(steps, portion):
    tests = {
        "fail": [-1e9, 1e9],
        "flat": {"tolerance": 0.5, "suspect": "3m", "fail": "6m"},
        "attenuated": {"period": "5m", "suspect": 0.4, "fail": 0.05},
    }
    values, level = [], 10.0
    for step in steps:
        level += 0.0 if step != step else step
        values.append(step if step != step else round(level, 1))
    whole = flags_of(control_of(tests), values)
    assert flags_of(control_of(tests), values, portion) == whole
    low = high = since = None  # the flat run, one sample at a time
    for i, value in enumerate(values):
        if value != value:
            continue
        low, high = (value, value) if low is None else (min(low, value), max(high, value))
        if since is None or not high - low < 0.5:
            low, high, since = value, value, i
        assert (whole[i] == Flag.FAIL) >= (i - since >= 6)
        assert (whole[i] >= Flag.SUSPECT) >= (i - since >= 3)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100) | st.just(N)), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_a_large_batch_judged_in_pieces_gets_the_same_flags(samples, most):
    tests = {
        "suspect": [5, 90], "spike": {"suspect": 20}, "rate": {"suspect": 0.2}, "neighbour": 20,
        "flat": {"tolerance": 1, "suspect": "3m"}, "gap": "5m",
    }  # fmt: skip
    whole, cut = control_of(tests, series=5), control_of(tests, series=5)
    for turn in range(2):
        rows = [(s, START + (100 * turn + i) * MINUTE, v) for i, (s, v) in enumerate(samples)]
        batch = SampleBatch.of(*zip(*rows, strict=True), [Flag.NOT_EVALUATED] * len(rows)).sorted()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cloud_ingest.quality.control._PIECE", most)
            found = cut.flag(batch, START + 10**9)
        assert found.quality.tolist() == whole.flag(batch, START + 10**9).quality.tolist()
        theirs, ours = whole.take_corrections().sorted(), cut.take_corrections().sorted()
        assert ours.quality.tolist() == theirs.quality.tolist()


@given(st.lists(st.integers(0, 6), max_size=80), st.integers(1, 30))
def test_pieces_of_a_batch_keep_series_whole_and_lose_nothing(series, most):
    series = sorted(series)
    n = len(series)
    batch = SampleBatch.of(series, range(n), [0.0] * n, [1] * n)
    pieces = batch.pieces(most)
    assert SampleBatch.concat(pieces).time_ms.tolist() == list(range(n))
    of_pieces = [set(p.series.tolist()) for p in pieces]
    assert sum(map(len, of_pieces)) == len(set(series))
    longest = max((series.count(s) for s in series), default=0)
    assert all(len(p) < most + longest for p in pieces) or n == 0
