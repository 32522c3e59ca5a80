"""The state of the host application, from its STATE topic."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostState:
    """Whether the host is online, as of ``time_ms``."""

    online: bool
    time_ms: int


def parse_host_state(payload: bytes) -> HostState | None:
    """Decode a STATE payload; None if it is invalid."""
    try:
        state = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(state, dict):
        return None
    online, time_ms = state.get("online"), state.get("timestamp")
    if type(online) is not bool or type(time_ms) is not int:
        return None
    return HostState(online, time_ms)
