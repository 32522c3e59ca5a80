"""The states of an uplink session and the events that each state accepts.

``TRANSITIONS`` is the whole contract of order: a state, the events that are legal in it, and the
states to which each event may lead. Any other event raises WrongOrderError, and a handler that
leads to another state is a defect and raises too.

What a session guarantees on the wire (Sparkplug B 3.0, chapter 5):

1. Nothing is published before the broker has confirmed the subscriptions, the host application is
   online (if the gateway waits for one) and the outbox knows its report numbers.
2. The first message is the NBIRTH, with sequence number 0. Each message after it has the next
   number, modulo 256. Another NBIRTH starts at 0 again, and the births of all devices follow it.
3. A device is born before its data is sent. Data names only metrics of that birth, by alias.
   After its DDEATH a device is silent until its next birth.
4. While the host application is offline nothing is published. If it goes offline while reports
   flow, the NDEATH of this session is the last message, and the connection ends.
5. The NDEATH is also the last message when the agent stops or the outbox is renewed. When the
   connection is lost, the broker publishes it as the will.
6. After the end every event raises.
"""

from collections.abc import Mapping
from enum import Enum, auto


class SessionState(Enum):
    """Where a session stands."""

    CONNECTING = auto()
    """CONNECT is sent; the broker has not accepted it yet."""
    SUBSCRIBING = auto()
    """SUBSCRIBE is sent. The host's state may arrive before the receipt."""
    WAITING_FOR_HOST = auto()
    """Subscribed; the host application is not online."""
    WAITING_FOR_NUMBERS = auto()
    """The host is online; the outbox cannot be read yet, so its report numbers are unknown."""
    DELIVERING = auto()
    """Births are out and reports flow."""
    ENDED = auto()
    """The session is over; the connection is closed or about to be."""


class SessionEvent(Enum):
    """What can happen to a session."""

    CONNECTED = auto()
    """The broker accepted the connection (CONNACK)."""
    SUBSCRIBED = auto()
    """The broker confirmed a subscription (SUBACK)."""
    HOST_ONLINE = auto()
    HOST_OFFLINE = auto()
    COMMAND = auto()
    """An NCMD arrived. It acts only while reports flow."""
    DEVICE_CHANGED = auto()
    """A device began or ceased to answer, or the description of the gateway was replaced."""
    MEASURED = auto()
    """Reports became durable. Before the births they are left to the backlog."""
    BACKLOG = auto()
    """Reports were read from the outbox."""
    TICK = auto()
    """About a second has passed."""
    STOPPED = auto()
    """The agent stops."""
    LOST = auto()
    """The connection is gone."""


class WrongOrderError(Exception):
    """An event arrived in a state that does not accept it, or led to a state that is not allowed."""


_AT_ANY_TIME = (SessionEvent.DEVICE_CHANGED, SessionEvent.MEASURED)


def _state(
    here: SessionState, events: Mapping[SessionEvent, tuple[SessionState, ...]]
) -> dict[SessionEvent, tuple[SessionState, ...]]:
    """The row of ``here``, with the events that every state but ENDED accepts."""
    always = dict.fromkeys(_AT_ANY_TIME, (here,))
    ends = {SessionEvent.STOPPED: (SessionState.ENDED,), SessionEvent.LOST: (SessionState.ENDED,)}
    return {**always, **ends, **events}


_C, _S, _H = SessionState.CONNECTING, SessionState.SUBSCRIBING, SessionState.WAITING_FOR_HOST
_N, _D, _E = SessionState.WAITING_FOR_NUMBERS, SessionState.DELIVERING, SessionState.ENDED

TRANSITIONS: Mapping[SessionState, Mapping[SessionEvent, tuple[SessionState, ...]]] = {
    _C: _state(_C, {
        SessionEvent.CONNECTED: (_S,),
        SessionEvent.TICK: (_C,),
    }),
    _S: _state(_S, {
        SessionEvent.SUBSCRIBED: (_H, _N, _D),
        SessionEvent.HOST_ONLINE: (_S,),
        SessionEvent.HOST_OFFLINE: (_S,),
        SessionEvent.COMMAND: (_S,),
        SessionEvent.TICK: (_S, _E),
    }),
    _H: _state(_H, {
        SessionEvent.HOST_ONLINE: (_N, _D),
        SessionEvent.HOST_OFFLINE: (_H,),
        SessionEvent.COMMAND: (_H,),
        SessionEvent.TICK: (_H, _E),
    }),
    _N: _state(_N, {
        SessionEvent.HOST_ONLINE: (_N,),
        SessionEvent.HOST_OFFLINE: (_H,),
        SessionEvent.COMMAND: (_N,),
        SessionEvent.TICK: (_N, _D),
    }),
    _D: _state(_D, {
        SessionEvent.SUBSCRIBED: (_D,),
        SessionEvent.HOST_ONLINE: (_D,),
        SessionEvent.HOST_OFFLINE: (_E,),
        SessionEvent.COMMAND: (_D,),
        SessionEvent.BACKLOG: (_D,),
        SessionEvent.TICK: (_D, _E),
    }),
    _E: {},
}  # fmt: skip


class SessionStates:
    """The state of one session. ``accept`` an event, handle it, then ``become`` the next state."""

    def __init__(self) -> None:
        self.now = SessionState.CONNECTING
        self._allowed: tuple[SessionState, ...] = ()

    def accept(self, event: SessionEvent) -> SessionState:
        """Check that ``event`` is legal now; returns the present state."""
        allowed = TRANSITIONS[self.now].get(event)
        if allowed is None:
            raise WrongOrderError(f"{event.name} in state {self.now.name}")
        self._allowed = allowed
        return self.now

    def become(self, state: SessionState) -> None:
        """Go to ``state``, which must be one to which the accepted event may lead."""
        if state not in self._allowed:
            raise WrongOrderError(f"{self.now.name} must not become {state.name}")
        self.now = state
