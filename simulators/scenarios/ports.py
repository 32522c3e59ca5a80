"""TCP ports of buses: chosen once for a folder, so that a restart uses the same ones."""

import json
import random
import socket
from pathlib import Path

from simulators.scenarios.model import SimStation
from simulators.scenarios.stations import tcp_buses

_FILE = "ports.json"


def ports_in(
    folder: Path, stations: list[SimStation], first_port: int | None = None
) -> dict[str, int]:
    """The port of each TCP bus by link name, stored in ``ports.json`` in the folder.

    With ``first_port`` they are consecutive from there instead.
    """
    path = folder / _FILE
    known: dict[str, int] = {}
    if path.exists():
        known = {str(k): int(v) for k, v in json.loads(path.read_text()).items()}
    ports: dict[str, int] = {}
    for i, (key, _, given) in enumerate(tcp_buses(stations)):
        if first_port is not None:
            ports[key] = first_port + i
        else:
            ports[key] = given or known.get(key) or _free_port(set(ports.values()))
    if ports and ports.items() - known.items():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**known, **ports}, indent=1) + "\n")
    return ports


def _free_port(taken: set[int]) -> int:
    """A free port below those of outgoing connections, so that it stays free between runs."""
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as s:
            if port not in taken and s.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise OSError("no free TCP port between 20000 and 32000")
