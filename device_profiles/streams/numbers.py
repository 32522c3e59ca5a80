"""Numbers as a device's own registers hold them."""


def saturated(value: float, low: int, high: int) -> int:
    """The nearest whole number, kept between ``low`` and ``high`` as a device would."""
    return max(low, min(high, round(value)))
