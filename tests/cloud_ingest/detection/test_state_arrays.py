"""State of the detectors: profiles, states of another version, events across a restart."""

import numpy as np
import pytest
from structlog.testing import capture_logs

from cloud_ingest.alerts.evaluation.engine import RuleEngine
from cloud_ingest.detection import LayeredDetector, StateMismatchError
from cloud_ingest.detection.evaluation_ticks import Tick
from cloud_ingest.detection.state_arrays import StateArrays
from cloud_ingest.detection.statistical import profiles
from tests.cloud_ingest.detection.streams import batch_of, one_series

HOUR_MS = 3_600_000


def test_a_steep_rise_within_a_two_hour_cell_leaves_a_small_weekly_residual():
    memory = StateArrays(profiles.ARRAYS)
    memory.grow(1)
    found = []
    for k in range(5 * 7 * 24 * 12):
        time_ms = np.array([profiles.MONDAY_MS + k * HOUR_MS // 12])
        hour = k / 12 % 24
        weekend = k // (12 * 24) % 7 >= 5
        value = np.array([200.0 * min(max(hour - 6.0, 0.0), 4.0) * (0.5 if weekend else 1.0)])
        tick = Tick(np.zeros(1, np.int64), np.zeros(1, np.int64), time_ms, value)
        found_now = profiles.follow_profiles(memory, tick, value, 0, np.full(1, 1 / 12))
        found.append(found_now.residual[2, 0] if found_now.known[2, 0] else np.nan)
    last_week = np.abs(np.array(found[-7 * 24 * 12 :]))
    assert np.isfinite(last_week).all()
    within_two_hours, of_the_weekend = 200.0, 400.0
    assert last_week.max() < 0.6 * within_two_hours
    assert np.median(last_week) < 0.02 * of_the_weekend


def test_a_state_of_another_version_is_refused_as_a_whole_and_the_detector_starts_again():
    first = LayeredDetector()
    first.register([one_series(0)])
    first.update(batch_of(0, np.arange(200) / 12, np.full(200, 5.0)))
    older = first.state()
    older["first.slot_count"] = np.zeros((1, 24), np.uint8)
    second = LayeredDetector()
    second.register([one_series(0)])
    new = second.state()
    with pytest.raises(StateMismatchError):
        second.restore(older)
    assert all(np.array_equal(second.state()[k], new[k], equal_nan=True) for k in new)
    engine = RuleEngine([], LayeredDetector())
    engine.register([one_series(0)])
    with capture_logs() as logs:
        engine.restore({"detector": older}.get)
    assert [entry["event"] for entry in logs] == ["detector_state_not_restored"]


def test_an_event_that_continues_over_a_restart_keeps_its_start():
    rng = np.random.default_rng(2)
    detector = LayeredDetector()
    detector.register([one_series(0)])
    hours = np.arange(0, 24 * 12, 1 / 12)
    detector.update(batch_of(0, hours, 50 + rng.normal(0, 1, len(hours))))
    begun = detector.update(batch_of(0, hours[-1] + np.arange(1, 4) / 12, [400.0, 401.0, 402.0]))
    assert (begun.reason > 0).all()
    other = LayeredDetector()
    other.register([one_series(0)])
    other.restore(detector.state())
    later = hours[-1] + np.arange(4, 8) / 12, [400.0, 399.0, 402.0, 401.0]
    whole, again = (d.update(batch_of(0, *later)) for d in (detector, other))
    assert again.since_ms.tolist() == whole.since_ms.tolist()
    assert again.since_ms[0] <= begun.since_ms[-1] + HOUR_MS
    assert again.score.tolist() == whole.score.tolist()
