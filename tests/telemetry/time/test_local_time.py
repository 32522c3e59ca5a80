"""Local time against the standard library's own zone arithmetic."""

import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.time.local_time import (
    TIME_ZONE,
    UTC_OFFSET_H,
    day_start_ms,
    from_local_ms,
    local_datetime,
    midnight_ms,
    ms_of_day,
    to_local_ms,
)

ZONE = timezone(timedelta(hours=7))
MOMENTS = st.integers(-2_000_000_000_000, 4_000_000_000_000)


@given(MOMENTS)
def test_a_moment_is_the_same_on_both_clocks(time_ms: int) -> None:
    moment = datetime.fromtimestamp(0, ZONE) + timedelta(milliseconds=time_ms)
    assert local_datetime(time_ms) == moment
    assert local_datetime(time_ms).utcoffset() == timedelta(hours=7)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    assert day_start_ms(time_ms) == round(midnight.timestamp() * 1000) == midnight_ms(moment.date())
    assert ms_of_day(time_ms) == time_ms - day_start_ms(time_ms)
    assert from_local_ms(to_local_ms(time_ms)) == time_ms


def test_a_local_day_begins_at_17_00_utc() -> None:
    assert midnight_ms(date(2026, 12, 1)) == 1_796_058_000_000
    assert local_datetime(1_796_058_000_000).isoformat() == "2026-12-01T00:00:00+07:00"


def test_arrays_are_converted_like_single_moments() -> None:
    times = np.array([-1, 0, 61_199_999, 61_200_000], dtype=np.int64)
    assert ms_of_day(times).tolist() == [ms_of_day(t) for t in times.tolist()]
    assert to_local_ms(times).tolist() == [to_local_ms(t) for t in times.tolist()]


def test_the_web_page_shows_the_same_local_time() -> None:
    page = Path(__file__).parents[3] / "cloud_ingest/web/src/parts/localTime.ts"
    text = page.read_text(encoding="utf-8")
    assert re.findall(r'TIME_ZONE = "(.+?)"', text) == [TIME_ZONE]
    assert [float(hours) for hours in re.findall(r"UTC_OFFSET_H = (\S+?);", text)] == [UTC_OFFSET_H]
