"""The program ``quantrac``. Each command is in the package that it runs and is loaded on use."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from quantrac import __version__
from quantrac.console import BAD_USAGE

# name: (module with a typer app called ``app``, description)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("quantrac.demo.cli", "Run everything on this machine, with simulated stations."),
    "edge": ("edge_agent.cli", "Run, check and inspect an edge agent."),
    "cloud": ("cloud_ingest.cli", "Run and manage the cloud side: ingest, API, web page."),
    "sim": ("simulators.cli", "Simulate devices, buses and fleets."),
    "profiles": ("device_profiles.cli", "List, show and check device profiles."),
    "rules": ("cloud_ingest.alerts.cli", "List, check and backtest alert rules."),
    "detect": ("cloud_ingest.detection.cli", "Run the anomaly detectors over a file."),
}


def usage() -> str:
    """The help text of the program."""
    commands = "\n".join(f"  {name:<10}{text}" for name, (_, text) in COMMANDS.items())
    return (
        "Usage: quantrac COMMAND [OPTIONS]\n\n"
        "Quantrac watches environmental and traffic sensors, from the edge to the officer.\n\n"
        f"Commands:\n{commands}\n\n"
        "Options:\n  --help      Show this, or the help of a command: quantrac edge run --help\n"
        "  --version   Print the version.\n\n"
        "Example: quantrac demo\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the program. Exits with 0, 1 or 2 (see console)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("--help", "-h", "help"):
        sys.stdout.write(usage())
        sys.exit(0 if given else BAD_USAGE)
    if given[0] == "--version":
        sys.stdout.write(f"quantrac {__version__}\n")
        return
    if given[0] not in COMMANDS:
        _refuse(f"no command {given[0]!r}; there are {', '.join(COMMANDS)}. See quantrac --help")
    try:
        app: typer.Typer = importlib.import_module(COMMANDS[given[0]][0]).app
        app.pretty_exceptions_enable = False
        app(args=given[1:], prog_name=f"quantrac {given[0]}")
    except ModuleNotFoundError as error:
        if os.environ.get("QUANTRAC_DEBUG"):
            raise
        _refuse(
            f"'{given[0]}' needs the Python package {error.name!r}, which is not installed here. "
            "Install the cloud part too, in Quantrac's folder: make setup"
        )


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"quantrac: {message}\n")
    sys.exit(BAD_USAGE)


if __name__ == "__main__":
    main()
