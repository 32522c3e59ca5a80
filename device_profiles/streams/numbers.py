"""Numbers in the registers of a device."""


def saturated(value: float, low: int, high: int) -> int:
    """The nearest integer, limited to ``low`` and ``high`` as in a device."""
    return max(low, min(high, round(value)))
