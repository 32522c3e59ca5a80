"""Times as people and programs write them: ISO 8601, or milliseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

_MILLISECONDS = re.compile(r"-?\d{1,17}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_iso_ms(text: str, zone: tzinfo = UTC) -> int:
    """UTC milliseconds of an ISO 8601 date or time, rounded down. Raises ValueError.

    ``zone`` applies to a time that names none.
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // _MILLISECOND


def parse_time_ms(text: str, zone: tzinfo = UTC) -> int:
    """UTC milliseconds of an ISO 8601 time or of a plain integer of milliseconds; or ValueError."""
    stripped = text.strip()
    return int(stripped) if _MILLISECONDS.fullmatch(stripped) else parse_iso_ms(stripped, zone)
