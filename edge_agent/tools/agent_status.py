"""Reads the status of an agent from its files, in another process."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_agent.configuration import load_gateway
from edge_agent.learned_state import beside_outbox, read_json
from edge_agent.outbox import OutboxStatus, read_status
from telemetry.time.clock import utc_now_ms

FRESH_MS = 10_000


def read_agent_status(path: Path) -> dict[str, Any]:
    """The status of the outbox and the status file of the agent, as one JSON object.

    Raises YamlFileError if the gateway file is wrong and OutboxError if the outbox cannot be read.
    """
    configuration = load_gateway(path)
    outbox = read_status(configuration.outbox.path)
    written = read_json(beside_outbox(configuration.outbox.path, "status"))
    agent: dict[str, Any] = written if isinstance(written, dict) else {}
    return {
        "gateway": configuration.gateway,
        "running": _is_running(agent),
        "status_time_ms": agent.get("time_ms"),
        **_outbox_json(outbox),
        "uplink": agent.get("uplink"),
        "clock_trusted": agent.get("clock_trusted"),
        "buses": agent.get("buses", {}),
        "devices": agent.get("devices", {}),
    }


def _outbox_json(outbox: OutboxStatus) -> dict[str, Any]:
    """The fields as programs know them: evicted samples are called "given up" there."""
    return {
        {"evicted_total": "given_up_total"}.get(name, name): value
        for name, value in asdict(outbox).items()
    }


def _is_running(agent: dict[str, Any]) -> bool:
    pid, time_ms = agent.get("pid"), agent.get("time_ms")
    if not isinstance(pid, int) or not isinstance(time_ms, int):
        return False
    if utc_now_ms() - time_ms > FRESH_MS:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
