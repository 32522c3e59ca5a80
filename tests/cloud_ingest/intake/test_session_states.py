"""The table of a gateway's session states: complete for the wire, strict for our own code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.intake.sparkplug.session_states import (
    Handling,
    SessionEvent,
    SessionState,
    WrongOrder,
    advance,
)
from cloud_ingest.intake.sparkplug.sessions import DeviceSession, NodeSession

OURS = [
    SessionEvent.HOST_RETURNED, SessionEvent.HEARD, SessionEvent.SILENT, SessionEvent.GRACE_OVER,
]  # fmt: skip
WIRE = [event for event in SessionEvent if event not in OURS]
BORN = {SessionState.ONLINE, SessionState.STALE}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("event", WIRE)
def test_whatever_comes_from_the_wire_is_handled_in_every_state(
    state: SessionState, event: SessionEvent
) -> None:
    after, handling = advance(state, event)
    if event is SessionEvent.NODE_BIRTH:
        assert (after, handling) == (SessionState.ONLINE, Handling.TAKE)
    elif event is SessionEvent.NODE_DEATH:
        assert (after, handling) == (SessionState.OFFLINE, Handling.TAKE)
    elif event is SessionEvent.EARLIER_DEATH:
        assert (after, handling) == (state, Handling.IGNORE)
    elif event in (SessionEvent.DATA, SessionEvent.DEVICE_BIRTH) and state not in BORN:
        assert (after, handling) == (SessionState.REBIRTH_ASKED, Handling.ASK_REBIRTH)
    else:
        assert (after in BORN) == (state in BORN)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (SessionState.ONLINE, SessionEvent.HEARD),
        (SessionState.ONLINE, SessionEvent.SILENT),
        (SessionState.ONLINE, SessionEvent.GRACE_OVER),
        (SessionState.OFFLINE, SessionEvent.HEARD),
        (SessionState.OFFLINE, SessionEvent.SILENT),
        (SessionState.OFFLINE, SessionEvent.GRACE_OVER),
    ],
)
def test_a_wrong_order_of_our_own_code_raises(state: SessionState, event: SessionEvent) -> None:
    with pytest.raises(WrongOrder, match=event.name):
        advance(state, event)


@given(st.lists(st.sampled_from(WIRE), max_size=20))
def test_data_is_taken_exactly_between_birth_and_death(events: list[SessionEvent]) -> None:
    session = NodeSession("group", "gateway", DeviceSession("-"))
    born = False
    for event in events:
        handling = session.handle(event)
        if event in (SessionEvent.NODE_BIRTH, SessionEvent.NODE_DEATH):
            born = event is SessionEvent.NODE_BIRTH
        elif event is SessionEvent.DATA:
            assert (handling is Handling.TAKE) == born
        assert session.born == born
