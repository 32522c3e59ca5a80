"""Finds the notifier of an address: each module in ``notification.notifiers`` takes some schemes."""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from cloud_ingest.notification import notifiers
from cloud_ingest.notification.notifier import Notifier

FALLBACK = "apprise"
"""The module that takes every scheme that no other takes."""

NotifierFactory = Callable[[str], Notifier]


@cache
def factories() -> dict[str, NotifierFactory]:
    """By scheme, what makes a notifier from an address. Raises ValueError for a scheme taken twice."""
    found: dict[str, NotifierFactory] = {}
    for info in pkgutil.iter_modules(notifiers.__path__):
        module = importlib.import_module(f"{notifiers.__name__}.{info.name}")
        for scheme in module.SCHEMES:
            if scheme in found:
                raise ValueError(f"two notifiers take {scheme}:, one of them is {info.name}.py")
            found[scheme] = module.new_notifier
    return found


def notifier_of(url: str) -> Notifier:
    """The notifier that takes ``url``. Raises ValueError for an address without a notifier."""
    scheme = url.partition(":")[0].lower()
    factory = factories().get(scheme)
    if factory is None:
        fallback = importlib.import_module(f"{notifiers.__name__}.{FALLBACK}")
        factory = fallback.new_notifier
    return factory(url)
