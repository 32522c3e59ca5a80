"""The gateway file with everything that it names, read and made certain of."""

from pathlib import Path

from edge_agent.acquisition.bus_plan import plan_bus, refuse_impossible
from edge_agent.configuration import GatewayConfiguration, load_gateway, problems_at
from edge_agent.devices import Bus, resolve
from telemetry.yaml_files import YamlFileError


def read_gateway(path: Path) -> tuple[GatewayConfiguration, tuple[Bus, ...]]:
    """A gateway file, its profiles, and the certainty that its readings fit on their buses.

    Raises YamlFileError.
    """
    configuration = load_gateway(path)
    buses = resolve(configuration, path)
    make_folder(path, configuration)
    refuse_impossible(path, [plan_bus(bus) for bus in buses])
    return configuration, buses


def make_folder(path: Path, configuration: GatewayConfiguration) -> None:
    """Make the folder of the outbox where it is not there. Raises YamlFileError."""
    folder = configuration.outbox.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"cannot make the folder {folder}: {error.strerror}"
        raise YamlFileError(problems_at(path, [(("outbox", "path"), text)])) from error


def fingerprint(path: Path) -> tuple[int, int] | None:
    """What changes when the file does; None where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
