"""The life of an alert as a state machine. Pure: the time is passed in.

At most one alert is open for each rule and subject. ``RULE_CHANGES`` defines the effect of what a rule
reports about the subject; the table in ``actions`` what people and the service do with one alert.

Contract of ``apply``. For each condition span a rule reports, in the order of time, either
``pending`` then ``cancel``, or (``pending``, if the rule has a hold time) ``fire``, any number of
``rise``, ``clear``. After a crash the samples since the last checkpoint are evaluated again, perhaps
with late samples between them. So a change may come twice, or belong to a span before that of the
open alert. Such changes have no effect, by design:

- a stale change, which is dated before the start of the open alert's span;
- a change of a span that was recorded before (``span_recorded``);
- ``rise``, ``cancel`` and ``clear`` where no alert is open: the span was resolved by hand;
- ``pending``, ``cancel`` and ``fire`` where an alert is firing already.

These cannot occur and raise LifecycleError: ``rise`` of a pending alert (a rise comes after its fire),
and a change about another rule or subject than the recorded alerts.

The severity of an alert is the highest that it has reached in any of its spans; value, limit and text
are those of the last fire or rise. A fire that continues an alert (a re-fire) at a higher severity is
also a rise: it takes the acknowledgement back, and its event is ``rose``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from alert_rules.hold_time import Change
from alert_rules.rule import Severity
from cloud_ingest.alerts.model import Alert, AlertState, Entry
from cloud_ingest.alerts.refires import is_refire

FLAPPING_FIRES = 3
"""An alert that has fired this often, each time soon after its end, is flapping."""

LONGEST_FIRE_HISTORY = 100
"""Above this count, re-fires only increment the counter and add nothing to the history."""

LATE_MS = 600_000
"""A change older than this (or than three intervals) is retrospective: it notifies nobody."""


class LifecycleError(ValueError):
    """A rule reported changes in an order that cannot occur."""


@dataclass(frozen=True, slots=True)
class ConditionChange:
    """What a rule reports about one subject.

    ``start_ms`` is when the condition became true, ``time_ms`` the time of this change; ``fresh`` is
    the alert as it would be if it began now.
    """

    change: Change
    fresh: Alert
    start_ms: int
    time_ms: int
    refire_within_ms: int
    retrospective: bool = False


@dataclass(slots=True)
class RecordedState:
    """What the database holds of a rule and subject.

    ``open_since_ms`` is the start of the span that the open alert is in. ``span_recorded``: the span
    of the change in question was recorded before.
    """

    open: Alert | None = None
    last: Alert | None = None
    open_since_ms: int | None = None
    span_recorded: bool = False

    @property
    def state(self) -> AlertState | None:
        """The state of the open alert; None if none is open."""
        return None if self.open is None else self.open.state

    def is_stale(self, time_ms: int) -> bool:
        """Whether ``time_ms`` lies before the span of the open alert."""
        return self.open_since_ms is not None and time_ms < self.open_since_ms


@dataclass(slots=True)
class AlertChange:
    """What to write: nothing, a new or changed alert, or its removal.

    ``event`` is the name of the event for live updates and notification; None: no event.
    ``span_start_ms`` opens a span, ``span_end_ms`` closes the open one.
    """

    alert: Alert | None = None
    entries: list[Entry] = field(default_factory=list)
    event: str | None = None
    remove: bool = False
    span_start_ms: int | None = None
    span_end_ms: int | None = None


# --- what rules report


def apply(recorded: RecordedState, change: ConditionChange, now_ms: int) -> AlertChange:
    """The effect of a rule's report on the recorded state. Raises LifecycleError."""
    _check_subject(recorded, change)
    if recorded.is_stale(change.time_ms):
        return AlertChange()
    handler = RULE_CHANGES.get((recorded.state, change.change))
    if handler is None:
        raise LifecycleError(f"{_name(change.fresh)}: {change.change} of a {recorded.state} alert")
    return handler(recorded, change, now_ms)


def _check_subject(recorded: RecordedState, change: ConditionChange) -> None:
    for alert in (recorded.open, recorded.last):
        if alert is not None and _name(alert) != _name(change.fresh):
            raise LifecycleError(f"{_name(change.fresh)}: applied to {_name(alert)}")


def _name(alert: Alert) -> str:
    return f"{alert.rule} at {alert.subject}"


def _ignore(_recorded: RecordedState, _change: ConditionChange, _now_ms: int) -> AlertChange:
    return AlertChange()


def _open_pending(recorded: RecordedState, change: ConditionChange, _now_ms: int) -> AlertChange:
    # The alert of a re-fire stays resolved until the condition has held for its hold time.
    if recorded.span_recorded or _continues_last(recorded, change):
        return AlertChange()
    alert = replace(change.fresh, state=AlertState.PENDING, retrospective=change.retrospective)
    return AlertChange(alert, [_entry(change, "pending")], "pending", span_start_ms=change.start_ms)


def _fire(recorded: RecordedState, change: ConditionChange, now_ms: int) -> AlertChange:
    if recorded.span_recorded:
        return AlertChange()
    if recorded.last is not None and _continues_last(recorded, change):
        return _refire(recorded.last, change, now_ms)
    alert = replace(
        change.fresh, state=AlertState.FIRING, fired_ms=change.time_ms, fires=1,
        updated_ms=now_ms, retrospective=change.retrospective,
    )  # fmt: skip
    return AlertChange(alert, [_entry(change, "fired")], "fired", span_start_ms=change.start_ms)


def _promote(recorded: RecordedState, change: ConditionChange, now_ms: int) -> AlertChange:
    alert = _open(recorded)
    fresh = change.fresh
    # The start may differ where the rule lost its memory while the alert was pending.
    if recorded.span_recorded and change.start_ms != recorded.open_since_ms:
        return AlertChange()
    changed = replace(
        alert, state=AlertState.FIRING, fired_ms=change.time_ms, fires=1, updated_ms=now_ms,
        severity=fresh.severity, value=fresh.value, peak=fresh.peak,
        limit_value=fresh.limit_value, text=fresh.text, retrospective=change.retrospective,
    )  # fmt: skip
    return AlertChange(changed, [_entry(change, "fired")], "fired")


def _refire(last: Alert, change: ConditionChange, now_ms: int) -> AlertChange:
    fires = last.fires + 1
    is_acknowledged = last.acknowledged_ms is not None
    changed = replace(
        _updated(last, change, now_ms), end_ms=None, fires=fires, flapping=fires >= FLAPPING_FIRES,
        state=AlertState.ACKNOWLEDGED if is_acknowledged else AlertState.FIRING,
    )  # fmt: skip
    entries = [_entry(change, "refired")] if fires <= LONGEST_FIRE_HISTORY else []
    event = "refired"
    if _is_more_severe(change.fresh, last):
        changed, event = _raised(changed, change), "rose"
        entries.append(_entry(change, "rose", text=changed.severity))
    return AlertChange(changed, entries, event, span_start_ms=change.start_ms)


def _rise(recorded: RecordedState, change: ConditionChange, now_ms: int) -> AlertChange:
    alert = _open(recorded)
    changed = _updated(alert, change, now_ms)
    if not _is_more_severe(change.fresh, alert):
        # An earlier span was as severe: the limit follows, nobody needs to be notified again.
        return AlertChange(changed)
    changed = _raised(changed, change)
    return AlertChange(changed, [_entry(change, "rose", text=changed.severity)], "rose")


def _resolve(recorded: RecordedState, change: ConditionChange, now_ms: int) -> AlertChange:
    alert = _open(recorded)
    changed = replace(ended(alert, change.time_ms, now_ms), peak=_worse(alert, change.fresh.peak))
    entries = [_entry(change, "resolved")] if alert.fires <= LONGEST_FIRE_HISTORY else []
    return AlertChange(changed, entries, "resolved", span_end_ms=change.time_ms)


def _remove(recorded: RecordedState, _change: ConditionChange, _now_ms: int) -> AlertChange:
    return AlertChange(_open(recorded), event="cancelled", remove=True)


def _open(recorded: RecordedState) -> Alert:
    assert recorded.open is not None  # the table has a handler that needs it only for open states
    return recorded.open


def _updated(alert: Alert, change: ConditionChange, now_ms: int) -> Alert:
    """The alert with the value, limit and text of a change, and the worst value so far."""
    fresh = change.fresh
    return replace(
        alert, value=fresh.value, limit_value=fresh.limit_value, text=fresh.text,
        peak=_worse(alert, fresh.peak), updated_ms=now_ms,
    )  # fmt: skip


def _raised(alert: Alert, change: ConditionChange) -> Alert:
    """The alert at a higher severity. It fires again: whoever acknowledged it has not seen this."""
    return replace(
        alert, severity=change.fresh.severity, state=AlertState.FIRING,
        acknowledged_by=None, acknowledged_ms=None,
    )  # fmt: skip


def _is_more_severe(fresh: Alert, alert: Alert) -> bool:
    return Severity(fresh.severity).rank > Severity(alert.severity).rank


def _entry(change: ConditionChange, kind: str, text: str | None = None) -> Entry:
    return Entry(change.time_ms, kind, None, text, change.fresh.value)


RuleHandler: TypeAlias = Callable[[RecordedState, ConditionChange, int], AlertChange]

RULE_CHANGES: Mapping[tuple[AlertState | None, Change], RuleHandler] = {
    (None, "pending"): _open_pending,
    (None, "fire"): _fire,
    (None, "rise"): _ignore,
    (None, "cancel"): _ignore,
    (None, "clear"): _ignore,
    (AlertState.PENDING, "pending"): _ignore,
    (AlertState.PENDING, "fire"): _promote,
    (AlertState.PENDING, "cancel"): _remove,
    (AlertState.PENDING, "clear"): _remove,  # its fire could not be stored
    (AlertState.FIRING, "pending"): _ignore,
    (AlertState.FIRING, "fire"): _ignore,
    (AlertState.FIRING, "rise"): _rise,
    (AlertState.FIRING, "cancel"): _ignore,
    (AlertState.FIRING, "clear"): _resolve,
    (AlertState.ACKNOWLEDGED, "pending"): _ignore,
    (AlertState.ACKNOWLEDGED, "fire"): _ignore,
    (AlertState.ACKNOWLEDGED, "rise"): _rise,
    (AlertState.ACKNOWLEDGED, "cancel"): _ignore,
    (AlertState.ACKNOWLEDGED, "clear"): _resolve,
}
"""(state of the open alert, None: none is open; change) -> handler."""


# --- re-fires


def _continues_last(recorded: RecordedState, change: ConditionChange) -> bool:
    last = recorded.last
    return (
        last is not None
        and last.retrospective == change.retrospective
        and is_refire(change.start_ms, last.end_ms, change.refire_within_ms)
    )


# --- retrospective alerts and worst values


def late_after_ms(interval_ms: int) -> int:
    """The age from which a change of a series with this sampling interval is retrospective."""
    return max(LATE_MS, 3 * interval_ms)


def past_alert(change: ConditionChange) -> AlertChange:
    """A retrospective alert for a span that late data shows, with its end; it notifies nobody."""
    end_ms = change.fresh.end_ms
    alert = replace(
        change.fresh, state=AlertState.RESOLVED, fired_ms=change.time_ms, end_ms=end_ms, fires=1,
        retrospective=True,
    )  # fmt: skip
    entries = [_entry(change, "fired")]
    if end_ms is not None:
        entries.append(Entry(end_ms, "resolved"))
    return AlertChange(
        alert, entries, "retrospective", span_start_ms=change.start_ms, span_end_ms=end_ms
    )


def ended(alert: Alert, end_ms: int, now_ms: int) -> Alert:
    """The alert resolved at ``end_ms``."""
    return replace(
        alert, state=AlertState.RESOLVED, end_ms=end_ms, updated_ms=now_ms, inhibited_by=None
    )


def with_peak(alert: Alert, peak: float, now_ms: int) -> Alert | None:
    """The alert with ``peak`` as its worst value; None if it is not worse than the known one."""
    if not math.isfinite(peak) or _worse(alert, peak) == alert.peak:
        return None
    return replace(alert, peak=_worse(alert, peak), updated_ms=now_ms)


def _worse(alert: Alert, peak: float | None) -> float | None:
    if peak is None or alert.peak is None:
        return peak if alert.peak is None else alert.peak
    return min(alert.peak, peak) if alert.comparison == "below" else max(alert.peak, peak)
