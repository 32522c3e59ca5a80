"""What alerts say reads as an officer would write it."""

import pytest

from alert_rules import load_rules
from alert_rules.loading import library_packs
from cloud_ingest.alerts.texts import fill, shown_length, shown_number, shown_window

MINUTE, HOUR = 60_000, 3_600_000
VALUES = {"station": "Thủ Dầu Một", "quantity": "pm2_5", "value": 89.04, "unit": "ug/m3", "limit": 45.0,
          "gateway": "g", "device": "d", "subject": "g/d/m", "start": 0, "time": 0}  # fmt: skip


def test_a_legal_mean_is_told_as_the_regulation_names_it():
    rule = load_rules(["library/vn-air"]).find("vn-air/pm2_5-24h")
    text = fill(rule, "metric", VALUES)
    assert text["en"] == "Thủ Dầu Một: the 24-hour mean of PM2.5 is 89.04 µg/m³, limit 45 µg/m³."
    assert text["vi"] == (
        "Thủ Dầu Một: trung bình 24 giờ của Bụi PM2.5 là 89,04 µg/m³, giới hạn 45 µg/m³."
    )


@pytest.mark.parametrize(
    ("span_ms", "vi", "en"),
    [(HOUR, "1 giờ", "1-hour"), (24 * HOUR, "24 giờ", "24-hour"), (8 * HOUR, "8 giờ", "8-hour"),
     (MINUTE, "1 phút", "1-minute"), (90 * MINUTE, "90 phút", "90-minute"), (10_000, "10 giây", "10-second"),
     (365 * 24 * HOUR, "365 ngày", "365 d")],
)  # fmt: skip
def test_windows_are_written_in_one_unit(span_ms, vi, en):
    assert (shown_window(span_ms, "vi"), shown_window(span_ms, "en")) == (vi, en)


def test_lengths_have_two_units_at_most_and_numbers_four_digits():
    assert shown_length(93_784_000, "en") == "1 d 2 h"
    assert shown_length(0, "vi") == "0 giây"
    assert [shown_number(v, "vi") for v in (0.0123, 7.256, 123.43, 12345.6)] == [
        "0,012", "7,26", "123,4", "12346",
    ]  # fmt: skip


def test_a_value_just_past_its_limit_does_not_look_like_it():
    rule = load_rules(["library/vn-air"]).find("vn-air/pm2_5-24h")
    assert "is 45.004 µg/m³, limit 45 µg" in fill(rule, "metric", VALUES | {"value": 45.004})["en"]
    assert shown_number(45.0, "en", 45.0) == "45"
    assert shown_number(44.9999999999, "en", 45.0) == "45"


@pytest.mark.parametrize("rule", list(load_rules(library_packs())), ids=lambda r: r.full_id)
def test_every_text_of_every_pack_can_be_filled_in_both_languages(rule):
    for scope in ("metric", "device", "gateway") if rule.kind == "no_data" else ("metric",):
        for text in fill(rule, scope, VALUES).values():
            assert "{" not in text
            assert "  " not in text
