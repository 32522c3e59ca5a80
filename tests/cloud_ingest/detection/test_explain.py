import math

import pytest

from cloud_ingest.detection import AlertBudget, Finding, Reason, budget_for_quantity, explain
from cloud_ingest.detection.explain import _EN, _VI
from telemetry.quantities import QUANTITIES
from tests.cloud_ingest.detection.streams import one_series

MORNING_MS = 1_769_994_000_000  # 2026-02-02 01:00 UTC


def finding(reason, score=3.0, expected=40.0):
    return Finding(reason, MORNING_MS, MORNING_MS, 91.24, expected, 21.0, 62.5, score)


def test_a_sentence_has_quantity_station_start_value_band_and_rarity():
    found = explain(one_series(0, "pm2_5", "tdm"), finding(Reason.HIGH_FOR_TIME))
    assert found.en == (
        "PM2.5 at tdm: unusually high for this time of the day and week, since 08:00 02/02/2026; "
        "now 91.2 ug/m3, normally about 40.0 ug/m3 (21.0 – 62.5 ug/m3). "
        "The like is seen about once in 42 days."
    )
    assert found.vi == (
        "Bụi PM2.5 tại tdm: cao bất thường so với giờ này trong ngày và trong tuần, từ 08:00 "
        "02/02/2026; hiện 91.2 ug/m3, bình thường khoảng 40.0 ug/m3 (21.0 – 62.5 ug/m3). "
        "Trường hợp như vậy khoảng 42 ngày mới có một lần."
    )


def test_without_an_expected_value_the_sentence_leaves_it_out():
    found = explain(one_series(0, "pm2_5"), finding(Reason.STUCK, expected=math.nan))
    assert "normally" not in found.en
    assert "bình thường" not in found.vi


@pytest.mark.parametrize(
    ("score", "words"),
    [(0.0, "1 hour"), (1.0, "10 hours"), (3.0, "42 days"), (4.0, "14 months"), (6.0, "two years")],
)
def test_rarity_is_given_in_common_units(score, words):
    found = explain(one_series(0), finding(Reason.HIGH, score=score or 0.0001))
    assert words in found.en


def test_every_reason_has_words_in_both_languages():
    assert set(_EN) == set(_VI) == set(Reason)


def test_every_quantity_has_a_budget_and_an_angle_is_not_judged():
    for name in QUANTITIES:
        budget = budget_for_quantity(name)
        assert budget.statistical >= 0
        assert budget.fault >= 0
    assert budget_for_quantity("wind_direction") == AlertBudget(0.0, 0.0)
    assert budget_for_quantity("pm2_5").fault > 0
    assert budget_for_quantity("something foreign").statistical > 0
