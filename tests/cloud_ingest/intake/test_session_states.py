"""The table of a gateway's session states: complete for the wire, strict for our own code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.intake.sparkplug.session_states import (
    Handling,
    HostSessionEvent,
    HostSessionState,
    WrongOrder,
    advance,
)
from cloud_ingest.intake.sparkplug.sessions import DeviceSession, NodeSession

OURS = [
    HostSessionEvent.HOST_RETURNED, HostSessionEvent.HEARD, HostSessionEvent.SILENT, HostSessionEvent.GRACE_OVER,
]  # fmt: skip
WIRE = [event for event in HostSessionEvent if event not in OURS]
BORN = {HostSessionState.ONLINE, HostSessionState.STALE}


@pytest.mark.parametrize("state", HostSessionState)
@pytest.mark.parametrize("event", WIRE)
def test_whatever_comes_from_the_wire_is_handled_in_every_state(
    state: HostSessionState, event: HostSessionEvent
) -> None:
    after, handling = advance(state, event)
    if event is HostSessionEvent.NODE_BIRTH:
        assert (after, handling) == (HostSessionState.ONLINE, Handling.TAKE)
    elif event is HostSessionEvent.NODE_DEATH:
        assert (after, handling) == (HostSessionState.OFFLINE, Handling.TAKE)
    elif event is HostSessionEvent.EARLIER_DEATH:
        assert (after, handling) == (state, Handling.IGNORE)
    elif event in (HostSessionEvent.DATA, HostSessionEvent.DEVICE_BIRTH) and state not in BORN:
        assert (after, handling) == (HostSessionState.REBIRTH_ASKED, Handling.ASK_REBIRTH)
    else:
        assert (after in BORN) == (state in BORN)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (HostSessionState.ONLINE, HostSessionEvent.HEARD),
        (HostSessionState.ONLINE, HostSessionEvent.SILENT),
        (HostSessionState.ONLINE, HostSessionEvent.GRACE_OVER),
        (HostSessionState.OFFLINE, HostSessionEvent.HEARD),
        (HostSessionState.OFFLINE, HostSessionEvent.SILENT),
        (HostSessionState.OFFLINE, HostSessionEvent.GRACE_OVER),
    ],
)
def test_a_wrong_order_of_our_own_code_raises(
    state: HostSessionState, event: HostSessionEvent
) -> None:
    with pytest.raises(WrongOrder, match=event.name):
        advance(state, event)


@given(st.lists(st.sampled_from(WIRE), max_size=20))
def test_data_is_taken_exactly_between_birth_and_death(events: list[HostSessionEvent]) -> None:
    session = NodeSession("group", "gateway", DeviceSession("-"))
    born = False
    for event in events:
        handling = session.handle(event)
        if event in (HostSessionEvent.NODE_BIRTH, HostSessionEvent.NODE_DEATH):
            born = event is HostSessionEvent.NODE_BIRTH
        elif event is HostSessionEvent.DATA:
            assert (handling is Handling.TAKE) == born
        assert session.born == born
