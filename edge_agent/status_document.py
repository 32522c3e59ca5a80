"""The status file beside the outbox, from which ``edge status`` reads how the agent is doing."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from edge_agent.acquisition.bus_counters import DeviceCounters, RecurringProblem
from edge_agent.acquisition.modbus_bus import ModbusBus
from edge_agent.acquisition.stream_bus import StreamBus
from edge_agent.clock import Clock
from edge_agent.devices import Bus, Device
from edge_agent.learned_state import write_json
from edge_agent.uplink import UplinkState

_log = structlog.get_logger()


class StatusFile:
    """Replaces the status file; a problem with that is logged once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problem = RecurringProblem()

    def write(self, status: Mapping[str, Any]) -> None:
        """Replace the file."""
        try:
            write_json(self._path, status)
        except OSError as error:
            if self._problem.begins(str(error)):
                _log.warning("status_file_unwritable", file=str(self._path), problem=str(error))
        else:
            self._problem.ends()


def agent_status(
    gateway: str,
    clock: Clock,
    uplink: UplinkState,
    buses: Mapping[str, Any],
    devices: Mapping[str, Any],
) -> dict[str, Any]:
    """The document; ``buses`` and ``devices`` by name."""
    return {
        "gateway": gateway,
        "pid": os.getpid(),
        "time_ms": clock.now_ms(),
        "clock_trusted": clock.trusted,
        "uplink": asdict(uplink),
        "buses": buses,
        "devices": devices,
    }


def bus_status(bus: Bus, runner: StreamBus | ModbusBus) -> dict[str, Any]:
    """How much of its time a bus is in use; None for a stream."""
    if isinstance(runner, StreamBus):
        return {"where": bus.where, "busy": None, "readings_left_out": None}
    return {
        "where": bus.where,
        "busy": round(runner.busy, 4),
        "readings_left_out": runner.schedule.missed,
    }


def device_status(
    devices: Iterable[Device], counters: Mapping[str, DeviceCounters], online: set[str]
) -> dict[str, Any]:
    """The counters of each device, and whether it answers."""
    found = {}
    for device in devices:
        counted = counters.get(device.name, DeviceCounters())
        found[device.name] = {
            "bus": device.bus,
            "profile": device.profile.id,
            "online": device.name in online,
            "last_answer_ms": counted.last_answer_ms,
            "last_error": counted.last_error,
            "counters": dict(counted.counts),
        }
    return found
