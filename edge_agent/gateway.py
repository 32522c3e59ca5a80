"""The gateway file with its profiles: read completely, checked, and watched for changes."""

import asyncio
import contextlib
from pathlib import Path

from edge_agent.acquisition.bus_plan import plan_bus, refuse_impossible
from edge_agent.configuration import GatewayConfiguration, load_gateway, problems_at
from edge_agent.devices import Bus, resolve
from telemetry.yaml_files import YamlFileError

WATCH_EVERY_S = 1.0


def read_gateway(path: Path) -> tuple[GatewayConfiguration, tuple[Bus, ...]]:
    """Read a gateway file and its profiles, and check that its readings fit on their buses.

    Makes the folder of the outbox where it does not exist. Raises YamlFileError.
    """
    configuration = load_gateway(path)
    buses = resolve(configuration, path)
    _make_folder(path, configuration)
    refuse_impossible(path, [plan_bus(bus) for bus in buses])
    return configuration, buses


def _make_folder(path: Path, configuration: GatewayConfiguration) -> None:
    folder = configuration.outbox.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"cannot make the folder {folder}: {error.strerror}"
        raise YamlFileError(problems_at(path, [(("outbox", "path"), text)])) from error


class GatewayFileWatch:
    """Waits for a reason to read the gateway file again: its change, or a signal (``asked``)."""

    def __init__(self, path: Path, asked: asyncio.Event) -> None:
        self._path = path
        self._asked = asked
        self._seen = self._fingerprint()

    async def changed(self) -> None:
        """Return when the file has changed since the last call, or when asked to."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_S):
                    await self._asked.wait()
            seen = self._fingerprint()
            if self._asked.is_set() or seen != self._seen:
                self._asked.clear()
                self._seen = seen
                return

    def _fingerprint(self) -> tuple[int, int] | None:
        """Modification time and size; None where the file does not exist."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
