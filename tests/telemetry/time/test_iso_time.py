"""Times in ISO 8601 and in milliseconds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.time.iso_time import parse_iso_ms, parse_time_ms
from telemetry.time.local_time import LOCAL_ZONE


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T07:00:00+07:00", 0),
        (" 1970-01-01 00:00:01.2345Z ", 1234),
        ("1969-12-31T23:59:59.999", -1),
        ("-5", -5),
        ("20261123", 20_261_123),
    ],
)
def test_a_time_is_read(text: str, time_ms: int) -> None:
    assert parse_time_ms(text) == time_ms


def test_a_time_without_zone_is_in_the_zone_that_is_named() -> None:
    assert parse_iso_ms("1970-01-01T07:00", LOCAL_ZONE) == 0
    assert parse_iso_ms("1970-01-01T00:00Z", LOCAL_ZONE) == 0


@given(st.integers(-(10**13), 10**14))
def test_every_millisecond_comes_back_exactly(time_ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    assert parse_time_ms(moment.isoformat()) == time_ms


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "9" * 30])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time_ms(text)
