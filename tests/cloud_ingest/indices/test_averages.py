"""Averages, noise and traffic against the published numbers."""

import numpy as np
import pytest
from acoustic_toolbox import descriptors

from cloud_ingest.indices import averages, noise, traffic

LEVELS = [60, 62, 65, 70, 58, 55, 61, 75, 59, 57]


def test_an_hour_counts_with_three_quarters_of_its_samples():
    minute = np.arange(0, 3_600_000, 60_000)
    value = np.full(60, 10.0)
    assert averages.hourly_means(minute, value, 3_600_000, 1, 60_000) == [10.0]
    assert averages.hourly_means(minute[:45], value[:45], 3_600_000, 1, 60_000) == [10.0]
    assert averages.hourly_means(minute[:44], value[:44], 3_600_000, 1, 60_000) == [None]
    value[20:] = np.nan
    assert averages.hourly_means(minute, value, 3_600_000, 1, 60_000) == [None]


def test_a_sample_on_the_hour_belongs_to_the_hour_that_begins():
    means = averages.hourly_means(np.array([0, 3_600_000]), np.array([1.0, 2.0]), 3_600_000, 2)
    assert means == [1.0, 2.0]


def test_eight_hours_need_six_and_a_day_eighteen():
    assert averages.mean([1.0] * 6 + [None] * 2) == 1.0
    assert averages.mean([1.0] * 5 + [None] * 3) is None
    assert averages.mean([1.0] * 18 + [None] * 6) == 1.0
    assert averages.mean([1.0] * 17 + [None] * 7) is None
    assert averages.rolling_8h([1.0] * 9) == [1.0, 1.0]


def test_concentrations_are_brought_to_the_reference_state():
    assert averages.at_reference(1.0, 35.0, 100.5) == pytest.approx(1.042024, abs=1e-6)
    assert averages.at_oxygen(120, 12, 7) == pytest.approx(187.4157, abs=1e-4)
    assert averages.at_oxygen(120, 7, 7) == 120
    assert averages.at_oxygen(200, 15, 11) == pytest.approx(335.5932, abs=1e-4)
    assert averages.at_oxygen(200, 20.9, 11) is None


def test_levels_are_averaged_as_energies():
    assert noise.laeq(LEVELS) == pytest.approx(67.0648, abs=1e-4)
    assert noise.laeq(LEVELS) == pytest.approx(float(descriptors.leq(np.array(LEVELS))))
    assert [noise.exceeded(LEVELS, p) for p in (10, 50, 90)] == pytest.approx([70.5, 60.5, 56.8])
    assert noise.laeq(np.array([60.0, 70.0]), np.array([9.0, 1.0])) == pytest.approx(
        62.788, abs=1e-3
    )


@pytest.mark.parametrize(
    ("parts", "expected"), [((65, 60, 55), 65.0), ((70, 70, 70), 76.3952), ((55, 50, 45), 55.0)]
)
def test_lden_agrees_with_the_directive_and_another_package(parts, expected):
    assert noise.lden(*parts) == pytest.approx(expected, abs=1e-4)
    theirs = descriptors.lden(*(np.array([p]) for p in parts))
    assert noise.lden(*parts) == pytest.approx(float(np.ravel(theirs)[0]))


def test_ldn_weighs_the_night():
    assert noise.ldn(65, 55) == pytest.approx(65.0)


def test_traffic_measures():
    speeds = [50, 40, 60, 54, 45]
    assert traffic.time_mean_speed(speeds) == pytest.approx(49.8)
    assert traffic.space_mean_speed(speeds) == pytest.approx(48.8246, abs=1e-4)
    assert traffic.speed_p85(speeds) == pytest.approx(56.4)
    assert traffic.flow_per_hour(17, 300) == pytest.approx(204)
    assert traffic.density_from_occupancy(12, 6.5) == pytest.approx(18.4615, abs=1e-4)
    assert traffic.density(1200, 48.8246) == pytest.approx(24.5778, abs=1e-4)
    assert traffic.peak_hour_factor([120, 150, 180, 140]) == pytest.approx(0.819444, abs=1e-6)
    assert [traffic.level_of_service(k) for k in (6.8, 6.9, 16.1, 21.7, 27.9, 28)] == list("ABCDEF")
