"""Field types of scenario files: names and times."""

import re

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from telemetry.time.durations import DurationMs

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


class StrictModel(BaseModel):
    """A model of a scenario file; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def identifier(value: str) -> str:
    """Check a name that is used in topics and file names."""
    if not _ID.fullmatch(value):
        raise ValueError("use A-Z a-z 0-9 _ - only, 1 to 64 of them")
    return value


def _moment(value: object) -> object:
    """Accept a time of day only as text, since YAML reads 14:20 as a number of minutes."""
    if isinstance(value, int) and not isinstance(value, bool) and value != 0:
        raise ValueError(
            "write a duration with its unit (75s), or a time of day in quotes ('14:20')"
        )
    return str(value)


class When(StrictModel):
    """A time: a duration after the start, or the next occurrence of a local time of day."""

    after_ms: int | None = None
    clock_s: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if isinstance(value, dict):
            return value
        text = str(_moment(value))
        clock = _CLOCK.fullmatch(text)
        if clock:
            hour, minute, second = (int(g or 0) for g in clock.groups())
            return {"clock_s": hour * 3600 + minute * 60 + second}
        return {"after_ms": _Span.model_validate({"span": text if text != "0" else 0}).span}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _core: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": ["string", "integer"],
            "description": "a duration after the start, or a time of day",
            "examples": ["75s", "14:20"],
        }

    def resolve_ms(self, start_ms: int, offset_s: float) -> int:
        """The time in UTC milliseconds for a simulation that starts at ``start_ms``."""
        if self.clock_s is None:
            return start_ms + (self.after_ms or 0)
        local_s = start_ms / 1000.0 + offset_s
        midnight = local_s - local_s % 86400.0
        moment = midnight + self.clock_s
        if moment < local_s:
            moment += 86400.0
        return round((moment - offset_s) * 1000.0)


class _Span(StrictModel):
    span: DurationMs
