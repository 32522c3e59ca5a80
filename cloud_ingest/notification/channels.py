"""Channels: who receives which alerts, in which language, when, and through which notifier."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from alert_rules.rule import Severity, parse_hours
from cloud_ingest.notification.finding import notifier_of
from cloud_ingest.notification.notifier import Notifier
from telemetry.time.durations import DurationMs
from telemetry.time.local_time import ms_of_day

_DAY_MS = 86_400_000


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class ChannelConfiguration(BaseModel):
    """One entry of ``notify`` in cloud.yaml. An empty filter matches everything.

    During ``quiet_hours`` (local time) notifications milder than ``quiet_below`` are delayed until
    they end. With ``escalate_after`` the channel receives only alerts that nobody acknowledged in
    that time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    url: Annotated[str, Field(min_length=1)]
    severity: Annotated[tuple[Severity, ...], BeforeValidator(_as_tuple)] = ()
    station: Names = ()
    rule: Names = ()
    language: Literal["vi", "en"] = "vi"
    quiet_hours: str | None = None
    quiet_below: Severity = Severity.CRITICAL
    escalate_after: DurationMs | None = None
    resolved: bool = True
    per_minute: Annotated[int, Field(ge=1, le=600)] = 20

    @field_validator("quiet_hours")
    @classmethod
    def _check_hours(cls, text: str | None) -> str | None:
        if text is not None:
            parse_hours(text)
        return text


@dataclass(frozen=True, slots=True)
class Channel:
    """A configured channel with its name in the records and its notifier."""

    name: str
    configuration: ChannelConfiguration
    notifier: Notifier

    def as_json(self) -> dict[str, Any]:
        """As the API shows it: without the address, which may contain a password."""
        chosen = self.configuration
        shown = chosen.model_dump(mode="json", exclude={"url", "escalate_after"})
        service = chosen.url.partition(":")[0]
        return shown | {
            "name": self.name, "service": service, "escalate_after_ms": chosen.escalate_after,
        }  # fmt: skip

    def takes(self, rule: str, station: str, severity: str) -> bool:
        """Whether the filters of the channel match such an alert."""
        chosen = self.configuration
        return (
            (not chosen.severity or Severity(severity) in chosen.severity)
            and _matches(chosen.station, station)
            and _matches(chosen.rule, rule)
        )

    def not_before_ms(self, severity: str, now_ms: int) -> int:
        """The earliest time to send something of this severity: now, or the end of quiet hours."""
        chosen = self.configuration
        if chosen.quiet_hours is None or Severity(severity).rank >= chosen.quiet_below.rank:
            return now_ms
        begin, end = parse_hours(chosen.quiet_hours)
        of_day = ms_of_day(now_ms)
        quiet = begin <= of_day < end if begin <= end else of_day >= begin or of_day < end
        return now_ms + (end - of_day) % _DAY_MS if quiet else now_ms


def _matches(patterns: Sequence[str], name: str) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, p) for p in patterns)


def channels(entries: Sequence[str | ChannelConfiguration]) -> list[Channel]:
    """The channels of ``notify`` in cloud.yaml. Raises ValueError for an address without a notifier."""
    found = []
    for number, entry in enumerate(entries, start=1):
        chosen = ChannelConfiguration(url=entry) if isinstance(entry, str) else entry
        name = chosen.name or f"{chosen.url.partition(':')[0]}-{number}"
        try:
            notifier = notifier_of(chosen.url)
        except ValueError as error:
            raise ValueError(f"channel {name}: {error}") from error
        found.append(Channel(name, chosen, notifier))
    return found
