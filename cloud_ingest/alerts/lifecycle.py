"""The life of an alert: pending, firing, acknowledged, resolved. Pure; the time is passed in.

One alert is open at most for each rule and subject. What happens is named by the start of its
run, so hearing of it twice changes nothing.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from alert_rules.rule import Severity
from cloud_ingest.alerts.model import Alert, Entry

FLAPPING_FIRES = 3
"""An alert that has fired so often, each time soon after its end, is flapping."""

TOLD_FIRES = 100
"""An alert that has fired oftener no longer writes each time into its history; it is counted."""

Change = Literal["pending", "fire", "rise", "cancel", "clear"]


@dataclass(frozen=True, slots=True)
class ConditionChange:
    """What a rule found about one subject.

    ``start_ms`` is when the condition became true, ``time_ms`` when this change is to be dated;
    ``fresh`` is the alert as it would be if it began now.
    """

    change: Change
    fresh: Alert
    start_ms: int
    time_ms: int
    refire_within_ms: int
    retrospective: bool = False


@dataclass(slots=True)
class RecordedState:
    """What the records hold of a rule and subject.

    ``open_since_ms`` is the start of the run that the open alert is in; ``run_known`` says that
    the run in question was recorded before (and may be over, or be that very one).
    """

    open: Alert | None = None
    last: Alert | None = None
    open_since_ms: int | None = None
    run_known: bool = False

    def is_stale(self, time_ms: int) -> bool:
        """Whether a change at ``time_ms`` is of a run before that of the open alert.

        So it is when samples are judged again after a crash.
        """
        return self.open_since_ms is not None and time_ms < self.open_since_ms


@dataclass(slots=True)
class AlertChange:
    """What to write down: nothing, a changed or new alert, a removed one.

    ``event`` names what watchers and notifiers hear of; None: nothing worth telling.
    ``span_start_ms`` opens a span, ``span_end_ms`` closes the open one.
    """

    alert: Alert | None = None
    entries: list[Entry] = field(default_factory=list)
    event: str | None = None
    remove: bool = False
    span_start_ms: int | None = None
    span_end_ms: int | None = None


def apply(known: RecordedState, what: ConditionChange, now_ms: int) -> AlertChange:
    """What ``what`` makes of what is known."""
    if known.is_stale(what.time_ms):
        return AlertChange()
    if what.change == "pending":
        return _pend(known, what)
    if what.change == "cancel":
        return _cancel(known)
    if what.change == "fire":
        return _fire(known, what, now_ms)
    if what.change == "rise":
        return _rise(known, what, now_ms)
    return _clear(known, what, now_ms)


def _pend(known: RecordedState, what: ConditionChange) -> AlertChange:
    if known.open is not None or known.run_known or _is_refire(known, what):
        return AlertChange()
    alert = replace(what.fresh, state="pending", retrospective=what.retrospective)
    return AlertChange(alert, [_entry(what, "pending")], "pending", span_start_ms=what.start_ms)


def _cancel(known: RecordedState) -> AlertChange:
    if known.open is None or known.open.state != "pending":
        return AlertChange()
    return AlertChange(known.open, event="cancelled", remove=True)


def _fire(known: RecordedState, what: ConditionChange, now_ms: int) -> AlertChange:
    alert = known.open
    if alert is not None and alert.state == "pending" and known.open_since_ms == what.start_ms:
        return _promote(alert, what, now_ms)
    if alert is not None or known.run_known:
        return AlertChange()
    if _is_refire(known, what):
        assert known.last is not None
        return _refire(known.last, what, now_ms)
    alert = replace(
        what.fresh, state="firing", fired_ms=what.time_ms, fires=1, updated_ms=now_ms,
        retrospective=what.retrospective,
    )  # fmt: skip
    return AlertChange(alert, [_entry(what, "fired")], "fired", span_start_ms=what.start_ms)


def _promote(alert: Alert, what: ConditionChange, now_ms: int) -> AlertChange:
    fresh = what.fresh
    changed = replace(
        alert, state="firing", fired_ms=what.time_ms, fires=1, updated_ms=now_ms,
        value=fresh.value, peak=fresh.peak, text=fresh.text, severity=fresh.severity,
        retrospective=what.retrospective,
    )  # fmt: skip
    return AlertChange(changed, [_entry(what, "fired")], "fired")


def _is_refire(known: RecordedState, what: ConditionChange) -> bool:
    last = known.last
    return (
        last is not None
        and last.end_ms is not None
        and 0 <= what.start_ms - last.end_ms <= what.refire_within_ms
        and last.retrospective == what.retrospective
    )


def _refire(last: Alert, what: ConditionChange, now_ms: int) -> AlertChange:
    fires = last.fires + 1
    changed = replace(
        last, state="acknowledged" if last.acknowledged_ms is not None else "firing",
        end_ms=None, fires=fires, flapping=fires >= FLAPPING_FIRES, updated_ms=now_ms,
        value=what.fresh.value, text=what.fresh.text, peak=_worse(last, what.fresh.peak),
    )  # fmt: skip
    entries = [_entry(what, "refired")] if fires <= TOLD_FIRES else []
    return AlertChange(changed, entries, "refired", span_start_ms=what.start_ms)


def _rise(known: RecordedState, what: ConditionChange, now_ms: int) -> AlertChange:
    alert = known.open
    if alert is None or alert.state == "pending":
        return AlertChange()
    if Severity(what.fresh.severity).rank <= Severity(alert.severity).rank:
        return AlertChange()
    # Whoever acknowledged the milder alert has not seen this.
    changed = replace(
        alert, severity=what.fresh.severity, state="firing", updated_ms=now_ms,
        acknowledged_by=None, acknowledged_ms=None, value=what.fresh.value,
        limit_value=what.fresh.limit_value, text=what.fresh.text,
        peak=_worse(alert, what.fresh.peak),
    )  # fmt: skip
    entry = _entry(what, "rose", text=what.fresh.severity)
    return AlertChange(changed, [entry], "rose")


def _clear(known: RecordedState, what: ConditionChange, now_ms: int) -> AlertChange:
    alert = known.open
    if alert is None:
        return AlertChange(known.last, span_end_ms=what.time_ms) if known.last else AlertChange()
    if alert.state == "pending":
        return AlertChange(alert, event="cancelled", remove=True)
    changed = replace(
        alert, state="resolved", end_ms=what.time_ms, updated_ms=now_ms, inhibited_by=None,
        peak=_worse(alert, what.fresh.peak),
    )  # fmt: skip
    entries = [_entry(what, "resolved")] if alert.fires <= TOLD_FIRES else []
    return AlertChange(changed, entries, "resolved", span_end_ms=what.time_ms)


def acknowledge(alert: Alert, by: str, note: str | None, now_ms: int) -> AlertChange:
    """Somebody has seen it."""
    changed = replace(
        alert, state="acknowledged", acknowledged_by=by, acknowledged_ms=now_ms, updated_ms=now_ms
    )
    return AlertChange(changed, [Entry(now_ms, "acknowledged", by, note)], "acknowledged")


def resolve_by_hand(alert: Alert, by: str, note: str | None, now_ms: int) -> AlertChange:
    """Somebody says that it is over; it fires again only after the condition has been false."""
    changed = replace(alert, state="resolved", end_ms=now_ms, updated_ms=now_ms, inhibited_by=None)
    return AlertChange(
        changed, [Entry(now_ms, "resolved", by, note)], "resolved", span_end_ms=now_ms
    )


def withdraw(alert: Alert, now_ms: int) -> AlertChange:
    """Its rule was switched off, or no longer watches what the alert is about."""
    if alert.state == "pending":
        return AlertChange(alert, event="cancelled", remove=True)
    changed = replace(alert, state="resolved", end_ms=now_ms, updated_ms=now_ms, inhibited_by=None)
    return AlertChange(changed, [Entry(now_ms, "withdrawn")], "resolved", span_end_ms=now_ms)


def become_current(alert: Alert, now_ms: int) -> AlertChange:
    """A run that late data had told of goes on in fresh data: it is no longer of the past."""
    changed = replace(alert, retrospective=False, updated_ms=now_ms)
    return AlertChange(changed, [Entry(now_ms, "current")], "fired")


def _worse(alert: Alert, peak: float | None) -> float | None:
    if peak is None or alert.peak is None:
        return peak if alert.peak is None else alert.peak
    return min(alert.peak, peak) if alert.comparison == "below" else max(alert.peak, peak)


def _entry(what: ConditionChange, kind: str, text: str | None = None) -> Entry:
    return Entry(what.time_ms, kind, None, text, what.fresh.value)


LATE_MS = 600_000
"""What happened longer ago than this (or three intervals) is told as past, not as present."""


def late_after_ms(interval_ms: int) -> int:
    """How old a change may be and still be news."""
    return max(LATE_MS, 3 * interval_ms)


def of_the_past(what: ConditionChange) -> AlertChange:
    """A whole run that late data tells of: recorded with its end, waking nobody."""
    end_ms = what.fresh.end_ms
    alert = replace(
        what.fresh, state="resolved", fired_ms=what.time_ms, end_ms=end_ms, fires=1,
        retrospective=True,
    )  # fmt: skip
    entries = [_entry(what, "fired")]
    if end_ms is not None:
        entries.append(Entry(end_ms, "resolved"))
    return AlertChange(
        alert, entries, "retrospective", span_start_ms=what.start_ms, span_end_ms=end_ms
    )


def heard_again(alert: Alert, now_ms: int) -> AlertChange:
    """The silence over an alert has ended and the alert is still on."""
    entry = Entry(now_ms, "unsilenced")
    event = "fired" if alert.state == "firing" else "unsilenced"
    return AlertChange(replace(alert, updated_ms=now_ms), [entry], event)


def with_peak(alert: Alert, peak: float, now_ms: int) -> Alert | None:
    """The alert with its worst value brought up to date; None where that is no news."""
    if not math.isfinite(peak) or _worse(alert, peak) == alert.peak:
        return None
    return replace(alert, peak=_worse(alert, peak), updated_ms=now_ms)
