"""Times and durations as clients write them."""

import re

from cloud_ingest.api.problems import Problem
from telemetry.time.durations import parse_duration_ms
from telemetry.time.iso_time import parse_time_ms

# In a query, "+07:00" arrives as " 07:00" if the client did not encode the plus sign.
_LOST_PLUS = re.compile(r"([T ][\d:.]+) (\d\d:?\d\d)$")
_ISO_STEP = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def parse_time(text: str, field: str) -> int:
    """UTC milliseconds of an ISO 8601 time or a number of milliseconds; Problem 400 otherwise.

    A time without a zone is UTC.
    """
    try:
        return _time_ms(text)
    except ValueError as error:
        detail = f"{text!r}: write 2026-11-23T08:00:00+07:00 or milliseconds since 1970."
        raise Problem(400, f"{field} is not a time", detail) from error


def optional_time(given: str | int | None, field: str) -> int | None:
    """The same for a time that may be absent, from a query or a body; Problem 422 if invalid."""
    if given is None or isinstance(given, int):
        return given
    try:
        return _time_ms(given)
    except ValueError as error:
        detail = f"{field}: write a time as 2026-11-23T08:00:00+07:00 or in milliseconds"
        raise Problem(422, "The request is not valid", detail) from error


def _time_ms(text: str) -> int:
    return parse_time_ms(_LOST_PLUS.sub(r"\1+\2", text.strip()))


def parse_step(text: str) -> int:
    """Milliseconds of ``60s``, ``1m``, ``1h``, ``PT15M`` or a number of ms; Problem 400 otherwise."""
    iso = _ISO_STEP.fullmatch(text)
    try:
        if iso and any(iso.groups()):
            days, hours, minutes, seconds = (int(g or 0) for g in iso.groups())
            step_ms = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
        else:
            step_ms = int(text) if text.isdecimal() else parse_duration_ms(text)
    except (ValueError, OverflowError) as error:
        detail = f"{text!r}: write 60s, 1m, 1h, 1d, PT15M or milliseconds."
        raise Problem(400, "step is not a duration", detail) from error
    if not 1 <= step_ms <= 366 * 86_400_000:
        raise Problem(400, "step is out of range", "It lies between 1 ms and 366 days.")
    return step_ms


NICE_STEPS_MS = tuple(
    n * unit
    for unit, numbers in (
        (1000, (1, 2, 5, 10, 15, 30)),
        (60_000, (1, 2, 5, 10, 15, 30)),
        (3_600_000, (1, 2, 3, 6, 12)),
        (86_400_000, (1, 2, 7, 14, 28)),
    )
    for n in numbers
)


def step_for(span_ms: int, points: int) -> int:
    """The shortest of NICE_STEPS_MS with which ``span_ms`` has at most ``points`` steps."""
    return next((s for s in NICE_STEPS_MS if span_ms <= s * points), NICE_STEPS_MS[-1])
