"""Equal small values kept once: the births of a thousand gateways say the same again and again."""

from typing import Final, TypeVar

ValueT = TypeVar("ValueT", str, int, tuple[float, float], tuple[str, ...])

_MOST: Final = 100_000
_kept: dict[object, object] = {}


def shared(value: ValueT) -> ValueT:
    """A value equal to ``value`` that was seen before, or itself."""
    found = _kept.get(value)
    if found is None or type(found) is not type(value):
        if len(_kept) >= _MOST:
            _kept.clear()
        _kept[value] = found = value
    return found
