"""The stream protocols: each file in ``wires/`` is one, with its name."""

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from device_profiles.streams.wire import Wire

_PACKAGE = "device_profiles.streams.wires"


@cache
def names() -> tuple[str, ...]:
    """The names of the protocols, sorted; imports none of them."""
    folder = Path(__file__).parent / "wires"
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(folder)])))


def wire(name: str) -> Wire:
    """The protocol with this name; KeyError if there is none."""
    if name not in names():
        raise KeyError(name)
    found: Wire = importlib.import_module(f"{_PACKAGE}.{name}").WIRE
    return found
