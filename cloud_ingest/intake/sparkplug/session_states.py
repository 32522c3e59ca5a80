"""The state of a gateway's session as the host sees it: a table of states and events. No I/O.

The contract:

- A session starts UNKNOWN. Only an NBIRTH brings it ONLINE, in any state.
- ONLINE and STALE are the states with a birth ("born"). Data, DBIRTH and DDEATH are taken there.
  In all other states data and DBIRTH are refused and the host asks for a rebirth: without the
  birth it knows neither aliases nor units. A DDEATH is ignored.
- Something incomplete in a born session (lost messages, a device or metric without a birth) asks
  for a rebirth and changes no state: the samples that can be read are still taken.
- An NDEATH of the current session brings it OFFLINE. The NDEATH of an earlier session (a will that
  the broker sent late, see ``NodeSession.ends``) is ignored.
- After the host itself was disconnected, what it knows may be out of date: ONLINE becomes STALE. A
  message from the gateway brings STALE back to ONLINE. Silence leads to a rebirth request and, after
  the grace period, to OFFLINE.

Events that come from the wire are in the table for every state. The others come from our own code:
one that is not in the table is a defect and raises WrongOrder.
"""

from enum import Enum
from typing import Final


class HostSessionState(Enum):
    """What the host knows of a gateway's session."""

    UNKNOWN = "unknown"  # no birth since the host started
    REBIRTH_ASKED = "rebirth asked"  # no birth; the gateway was asked for one
    ONLINE = "online"
    STALE = "stale"  # born, but nothing arrived since the host was disconnected
    OFFLINE = "offline"


class HostSessionEvent(Enum):
    """What happens to a session. The first seven come from the wire."""

    NODE_BIRTH = "NBIRTH"
    DEVICE_BIRTH = "DBIRTH"
    DATA = "NDATA or DDATA"
    NODE_DEATH = "NDEATH of this session"
    DEVICE_DEATH = "DDEATH"
    INCOMPLETE = "lost messages, or data without a birth of its device or metric"
    EARLIER_DEATH = "NDEATH of an earlier session"
    HOST_RETURNED = "the host connected again"
    HEARD = "a message arrived after the host returned"
    SILENT = "nothing arrived for some seconds after the host returned"
    GRACE_OVER = "nothing arrived during the grace period"


class Handling(Enum):
    """What to do with the event."""

    TAKE = "take"
    ASK_REBIRTH = "ask for a rebirth"
    IGNORE = "ignore"


class WrongOrder(Exception):  # noqa: N818  # named by what went wrong
    """An event of our own code that cannot happen in this state: a defect."""


_S, _E, _H = HostSessionState, HostSessionEvent, Handling
Table = dict[tuple[HostSessionState, HostSessionEvent], tuple[HostSessionState, Handling]]


def _born(state: HostSessionState) -> Table:
    """What holds in both states with a birth."""
    return {
        (state, _E.NODE_BIRTH): (_S.ONLINE, _H.TAKE),
        (state, _E.DEVICE_BIRTH): (state, _H.TAKE),
        (state, _E.DATA): (state, _H.TAKE),
        (state, _E.NODE_DEATH): (_S.OFFLINE, _H.TAKE),
        (state, _E.DEVICE_DEATH): (state, _H.TAKE),
        (state, _E.INCOMPLETE): (state, _H.ASK_REBIRTH),
        (state, _E.EARLIER_DEATH): (state, _H.IGNORE),
        (state, _E.HOST_RETURNED): (_S.STALE, _H.TAKE),
    }


def _unborn(state: HostSessionState) -> Table:
    """What holds in all states without a birth."""
    return {
        (state, _E.NODE_BIRTH): (_S.ONLINE, _H.TAKE),
        (state, _E.DEVICE_BIRTH): (_S.REBIRTH_ASKED, _H.ASK_REBIRTH),
        (state, _E.DATA): (_S.REBIRTH_ASKED, _H.ASK_REBIRTH),
        (state, _E.NODE_DEATH): (_S.OFFLINE, _H.TAKE),
        (state, _E.DEVICE_DEATH): (state, _H.IGNORE),
        (state, _E.INCOMPLETE): (_S.REBIRTH_ASKED, _H.ASK_REBIRTH),
        (state, _E.EARLIER_DEATH): (state, _H.IGNORE),
    }


TRANSITIONS: Final[Table] = {
    **_unborn(_S.UNKNOWN),
    (_S.UNKNOWN, _E.HOST_RETURNED): (_S.UNKNOWN, _H.TAKE),
    (_S.UNKNOWN, _E.HEARD): (_S.UNKNOWN, _H.TAKE),
    (_S.UNKNOWN, _E.SILENT): (_S.REBIRTH_ASKED, _H.ASK_REBIRTH),
    (_S.UNKNOWN, _E.GRACE_OVER): (_S.OFFLINE, _H.TAKE),
    **_unborn(_S.REBIRTH_ASKED),
    (_S.REBIRTH_ASKED, _E.HOST_RETURNED): (_S.REBIRTH_ASKED, _H.TAKE),
    (_S.REBIRTH_ASKED, _E.HEARD): (_S.REBIRTH_ASKED, _H.TAKE),
    (_S.REBIRTH_ASKED, _E.SILENT): (_S.REBIRTH_ASKED, _H.ASK_REBIRTH),
    (_S.REBIRTH_ASKED, _E.GRACE_OVER): (_S.OFFLINE, _H.TAKE),
    **_born(_S.ONLINE),
    **_born(_S.STALE),
    (_S.STALE, _E.HEARD): (_S.ONLINE, _H.TAKE),
    (_S.STALE, _E.SILENT): (_S.STALE, _H.ASK_REBIRTH),
    (_S.STALE, _E.GRACE_OVER): (_S.OFFLINE, _H.TAKE),
    **_unborn(_S.OFFLINE),
    # A gateway without births (mapped messages) may be online in the inventory all the same.
    (_S.OFFLINE, _E.HOST_RETURNED): (_S.UNKNOWN, _H.TAKE),
}


def advance(state: HostSessionState, event: HostSessionEvent) -> tuple[HostSessionState, Handling]:
    """The next state and what to do with the event; raises WrongOrder."""
    found = TRANSITIONS.get((state, event))
    if found is None:
        raise WrongOrder(f"{event.name} in the state {state.name}")
    return found
