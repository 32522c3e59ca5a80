"""What people and the service do with one alert: the second table of the state machine. Pure.

A pair of state and action that is not in ``ACTIONS`` raises AlertConflict. Acknowledging or resolving
an alert twice has no effect the second time.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TypeAlias

from cloud_ingest.alerts.lifecycle import AlertChange, ended
from cloud_ingest.alerts.model import Alert, AlertConflict, AlertState, Entry


class Action(StrEnum):
    """What can be done with an alert."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    WITHDRAW = "withdraw"
    """Its rule was switched off, or no longer watches the subject."""
    BECOME_CURRENT = "become_current"
    """A retrospective alert goes on in current data."""
    UNSILENCE = "unsilence"
    """The silence over the alert has ended."""


def act(
    alert: Alert, action: Action, now_ms: int, by: str | None = None, note: str | None = None
) -> AlertChange:
    """The effect of an action. Raises AlertConflict if the state does not allow it."""
    handler = ACTIONS.get((alert.state, action))
    if handler is None:
        raise AlertConflict(f"alert {alert.id} is {alert.state}: it is not possible to {action} it")
    return handler(alert, now_ms, by, note)


def _acknowledge(alert: Alert, now_ms: int, by: str | None, note: str | None) -> AlertChange:
    changed = replace(
        alert, state=AlertState.ACKNOWLEDGED, acknowledged_by=by, acknowledged_ms=now_ms,
        updated_ms=now_ms,
    )  # fmt: skip
    return AlertChange(changed, [Entry(now_ms, "acknowledged", by, note)], "acknowledged")


def _resolve_by_hand(alert: Alert, now_ms: int, by: str | None, note: str | None) -> AlertChange:
    """The alert fires again only after the condition has been false."""
    entry = Entry(now_ms, "resolved", by, note)
    return AlertChange(ended(alert, now_ms, now_ms), [entry], "resolved", span_end_ms=now_ms)


def _withdraw(alert: Alert, now_ms: int, _by: str | None, _note: str | None) -> AlertChange:
    entry = Entry(now_ms, "withdrawn")
    return AlertChange(ended(alert, now_ms, now_ms), [entry], "resolved", span_end_ms=now_ms)


def _withdraw_pending(
    alert: Alert, _now_ms: int, _by: str | None, _note: str | None
) -> AlertChange:
    return AlertChange(alert, event="cancelled", remove=True)


def _become_current(alert: Alert, now_ms: int, _by: str | None, _note: str | None) -> AlertChange:
    changed = replace(alert, retrospective=False, updated_ms=now_ms)
    return AlertChange(changed, [Entry(now_ms, "current")], "fired")


def _unsilence(alert: Alert, now_ms: int, _by: str | None, _note: str | None) -> AlertChange:
    event = "fired" if alert.state is AlertState.FIRING else "unsilenced"
    changed = replace(alert, silenced=False, updated_ms=now_ms)
    return AlertChange(changed, [Entry(now_ms, "unsilenced")], event)


def _no_change(alert: Alert, _now_ms: int, _by: str | None, _note: str | None) -> AlertChange:
    return AlertChange(alert)


ActionHandler: TypeAlias = Callable[[Alert, int, str | None, str | None], AlertChange]

ACTIONS: Mapping[tuple[AlertState, Action], ActionHandler] = {
    (AlertState.PENDING, Action.WITHDRAW): _withdraw_pending,
    (AlertState.PENDING, Action.UNSILENCE): _unsilence,
    (AlertState.FIRING, Action.ACKNOWLEDGE): _acknowledge,
    (AlertState.FIRING, Action.RESOLVE): _resolve_by_hand,
    (AlertState.FIRING, Action.WITHDRAW): _withdraw,
    (AlertState.FIRING, Action.BECOME_CURRENT): _become_current,
    (AlertState.FIRING, Action.UNSILENCE): _unsilence,
    (AlertState.ACKNOWLEDGED, Action.ACKNOWLEDGE): _no_change,
    (AlertState.ACKNOWLEDGED, Action.RESOLVE): _resolve_by_hand,
    (AlertState.ACKNOWLEDGED, Action.WITHDRAW): _withdraw,
    (AlertState.ACKNOWLEDGED, Action.BECOME_CURRENT): _become_current,
    (AlertState.ACKNOWLEDGED, Action.UNSILENCE): _unsilence,
    (AlertState.RESOLVED, Action.RESOLVE): _no_change,
}
"""(state, action) -> handler."""
