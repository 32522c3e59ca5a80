"""Durations with their unit, as files have them."""

import pytest
from pydantic import BaseModel, ValidationError

from telemetry.time.durations import DurationMs, format_duration, parse_duration_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [("200ms", 200), ("5s", 5000), ("1.5m", 90_000), ("2 h", 7_200_000), ("1d", 86_400_000)],
)
def test_a_duration_is_read_with_its_unit(text: str, ms: int) -> None:
    assert parse_duration_ms(text) == ms
    assert parse_duration_ms(format_duration(ms)) == ms


@pytest.mark.parametrize("text", ["5", "s", "-5s", "5 parsecs", ""])
def test_a_duration_without_a_unit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="200ms, 5s"):
        parse_duration_ms(text)


class Poll(BaseModel):
    interval: DurationMs = 0


def test_a_field_holds_milliseconds() -> None:
    assert Poll(interval="5s").interval == 5000  # type: ignore[arg-type]
    assert Poll(interval=0).interval == 0
    with pytest.raises(ValidationError, match="needs its unit"):
        Poll(interval=5)
