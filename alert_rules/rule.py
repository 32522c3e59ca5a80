"""The fields that every kind of rule has."""

import difflib
import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from string import Formatter
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from telemetry.batches import Bool, Float64
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.series import Series
from telemetry.time.durations import DurationMs

LONGEST_HOLD_MS = 2_000_000_000
"""The longest hold or clear time: 23 days."""

Comparison = Literal["above", "below", "outside", "between"]


class Severity(StrEnum):
    """How much an alert matters, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return list(Severity).index(self)


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalText(_FrozenModel):
    """One text in Vietnamese and English."""

    vi: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class Legal(_FrozenModel):
    """The source of a legal limit, when and where it applies, and whether the number was checked."""

    document: str
    clause: str = ""
    area: str = ""
    averaging: str = ""
    effective_from: date | None = None
    effective_to: date | None = None  # the first day on which it no longer applies
    verified: bool
    source: str

    @field_validator("effective_from", "effective_to", mode="before")
    @classmethod
    def _read_day(cls, given: Any) -> Any:
        if isinstance(given, str):
            try:
                return date.fromisoformat(given)
            except ValueError as error:
                raise ValueError("write a day as 2023-09-12") from error
        return given


_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


def parse_hours(text: str) -> tuple[int, int]:
    """Begin and end of ``22:00-06:00``, in ms after local midnight. Raises ValueError."""
    match = _HOURS.fullmatch(text.strip())
    numbers = [int(n) for n in match.groups()] if match else []
    if not numbers or numbers[0] > 24 or numbers[2] > 24 or numbers[1] > 59 or numbers[3] > 59:
        raise ValueError("write hours of the day as 22:00-06:00")
    return (numbers[0] * 60 + numbers[1]) * 60_000, (numbers[2] * 60 + numbers[3]) * 60_000


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), WithJsonSchema(_NAMES)]


class Selector(_FrozenModel):
    """Selects series: every field that is given must match; ``*`` and ``?`` are wildcards."""

    quantity: Names = ()
    group: Names = ()
    station: Names = ()
    gateway: Names = ()
    device: Names = ()
    metric: Names = ()
    series: Names = ()
    tag: Names = ()

    @field_validator("quantity")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in QUANTITIES and name != UNKNOWN and not set(name) & set("*?["):
                near = difflib.get_close_matches(name, [*QUANTITIES], n=3, cutoff=0.5)
                hint = (
                    f"did you mean {' or '.join(near)}?"
                    if near
                    else f"there are {', '.join(QUANTITIES)}"
                )
                raise ValueError(f"{name!r} is no quantity; {hint}")
        return names

    def matches(self, series: Series) -> bool:
        """True if every given field matches ``series``."""
        key = series.key
        return (
            (not self.quantity or _any(self.quantity, (series.quantity,)))
            and (not self.group or _any(self.group, (series.group,)))
            and (not self.station or _any(self.station, (series.station,)))
            and (not self.gateway or _any(self.gateway, (key.gateway,)))
            and (not self.device or _any(self.device, (key.device,)))
            and (not self.metric or _any(self.metric, (key.metric,)))
            and (not self.series or _any(self.series, (str(key),)))
            and (not self.tag or _any(self.tag, series.tags))
        )


def location_of(series: Series, match: str) -> str:
    """The location of a series: its station, gateway, device or group; with ``any`` all are alike."""
    if match == "device":
        return f"{series.key.gateway}/{series.key.device}"
    if match == "gateway":
        return series.key.gateway
    return {"station": series.station, "group": series.group, "any": ""}[match]


def _any(patterns: Sequence[str], names: Iterable[str]) -> bool:
    return any(n == p or fnmatch.fnmatchcase(n, p) for n in names for p in patterns)


class ThresholdLine(_FrozenModel):
    """A threshold as one number: a line in a chart, the side that breaches it, and the severity."""

    value: float
    comparison: Comparison
    severity: Severity


@dataclass(frozen=True, slots=True)
class Threshold:
    """One comparison with hysteresis: true from ``breached`` until ``cleared``.

    ``above`` and ``below`` use ``low`` only. With ``circular``, ``between`` and ``outside`` take
    values modulo 360, and the range may include north (350 to 20). ``margin`` is the hysteresis.
    """

    comparison: Comparison
    low: float
    high: float
    margin: float
    severity: Severity
    circular: bool = False

    def breached(self, value: Float64) -> Bool:
        """True where the condition becomes or stays true."""
        return self._compare(value, 0.0)

    def cleared(self, value: Float64) -> Bool:
        """True where a condition that was true becomes false."""
        return ~self._compare(value, self.margin)

    def _compare(self, value: Float64, slack: float) -> Bool:
        if self.comparison == "above":
            return value > self.low - slack
        if self.comparison == "below":
            return value < self.low + slack
        inside = self._inside(value, slack if self.comparison == "between" else -slack)
        return inside if self.comparison == "between" else ~inside

    def _inside(self, value: Float64, slack: float) -> Bool:
        low, high = self.low - slack, self.high + slack
        if not self.circular:
            return (value >= low) & (value <= high)
        width = min((high - low) % 360.0 if high - low != 360.0 else 360.0, 360.0)
        return np.mod(value - low, 360.0) <= width


PLACEHOLDERS = frozenset(
    {"station", "gateway", "device", "metric", "subject", "quantity", "value", "unit", "limit",
     "peak", "start", "time", "name", "hold", "window", "severity", "expected"}
)  # fmt: skip
"""The placeholders that the text of a rule may have, in braces."""


class Rule(_FrozenModel):
    """A condition over series, and the alert that it raises.

    ``hold`` is how long the condition must be true before the alert fires, ``clear_after`` how
    long it must be false before the alert resolves. Both are measured by the samples' own time and
    stand still while data is missing for longer than ``gap``. An alert that would fire again within
    ``refire_within`` of its end is reopened instead. The condition can only be true in ``hours``
    (local, such as 21:00-06:00). With ``alert: false`` only composite rules see the condition.

    What a kind reads and compares is said by its class, so that late data, backtests and plots treat
    it rightly: the class variables, and the properties below.
    """

    reads_several_series: ClassVar[bool] = False
    """True if verdicts need samples of several series, or other rules (see ``Evaluator.inputs``)."""
    needs_scores: ClassVar[bool] = False
    """True if verdicts need the scores of an anomaly detector."""
    compares_means: ClassVar[bool] = False
    """True if means of samples are compared: a plot shows them beside the samples."""
    value_name: ClassVar[LocalText | None] = None
    """What is compared, if no sample has its scale: "difference of". A plot shows it alone."""

    kind: str
    id: Annotated[str, Field(max_length=80)]
    name: LocalText
    text: LocalText | None = None
    select: Selector = Selector()
    severity: Severity = Severity.WARNING
    hold: Annotated[DurationMs, Field(le=LONGEST_HOLD_MS)] = 0
    clear_after: Annotated[DurationMs, Field(le=LONGEST_HOLD_MS)] = 0
    refire_within: DurationMs = 600_000
    gap: DurationMs | None = None
    hours: str | None = None
    enabled: bool | None = None
    alert: bool = True
    demonstration: bool = False
    legal: Legal | None = None
    pack: str = ""

    @field_validator("id")
    @classmethod
    def _check_id(cls, given: str) -> str:
        if not _ID.fullmatch(given):
            raise ValueError("write an id with small letters, digits and . _ - such as pm2_5-high")
        return given

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: LocalText | None) -> LocalText | None:
        for one in (text.vi, text.en) if text is not None else ():
            names = {field for _, field, _, _ in Formatter().parse(one) if field is not None}
            if names - PLACEHOLDERS:
                known = ", ".join(sorted(PLACEHOLDERS))
                raise ValueError(f"{min(names - PLACEHOLDERS)!r} cannot be filled in; {known}")
        return text

    @field_validator("hours")
    @classmethod
    def _check_hours(cls, text: str | None) -> str | None:
        if text is not None:
            parse_hours(text)
        return text

    @property
    def full_id(self) -> str:
        """The name of the rule outside its file: ``pack/id``."""
        return f"{self.pack}/{self.id}" if self.pack else self.id

    @property
    def is_enabled(self) -> bool:
        """``enabled``; if it is not given, false for a legal limit that is not verified."""
        if self.enabled is not None:
            return self.enabled
        return self.legal is None or self.legal.verified

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds, the mildest first, one for each level; none: the rule has one level."""
        return ()

    @property
    def lower_is_worse(self) -> bool:
        """True if the worst value of an alert is its lowest one."""
        return any(threshold.comparison == "below" for threshold in self.thresholds)

    @property
    def threshold_lines(self) -> tuple[ThresholdLine, ...]:
        """The thresholds as lines in a chart, the mildest first."""
        return ()

    @property
    def averaging_ms(self) -> int | None:
        """The time over which values are averaged before they are compared (None: not averaged)."""
        return None

    @property
    def reach_ms(self) -> int:
        """How far back a verdict sees: late data is evaluated with the samples of this time around it."""
        return self.averaging_ms or 0

    @property
    def aligned_ms(self) -> int:
        """The length of the periods of which each gives one value; 0: values follow each other freely."""
        return 0

    @property
    def is_complete(self) -> bool:
        """False for a legal limit whose number is not known yet."""
        return True

    def reads(self, series: Series) -> bool:
        """True if a series can matter to the rule, as its subject or for comparison."""
        return self.select.matches(series)

    def value_unit(self, unit: str) -> str:
        """The unit of what is compared, for a series with this unit."""
        return unit

    @property
    def refers_to(self) -> tuple[str, ...]:
        """The full names of other rules that this one reads."""
        return ()

    def validation_errors(self) -> Iterable[tuple[tuple[int | str, ...], str]]:
        """Contradictions between fields: (path of the field, message)."""
        return ()
