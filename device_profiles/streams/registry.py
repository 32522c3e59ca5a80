"""The wire protocols that there are: each file in ``wires/`` is one, by its name."""

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from device_profiles.streams.wire import Wire

_PACKAGE = "device_profiles.streams.wires"


@cache
def names() -> tuple[str, ...]:
    """The names of the protocols, in alphabetical order. Imports none of them."""
    folder = Path(__file__).parent / "wires"
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(folder)])))


def wire(name: str) -> Wire:
    """The protocol ``name``; KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    found: Wire = importlib.import_module(f"{_PACKAGE}.{name}").WIRE
    return found
