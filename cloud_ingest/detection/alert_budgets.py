"""Alert budgets: how many alerts a month each quantity may cause by default."""

from dataclasses import dataclass

from telemetry.quantities import QUANTITIES


@dataclass(frozen=True, slots=True)
class AlertBudget:
    """Alerts a month and series from each layer of detection; 0 switches the layer off."""

    statistical: float
    fault: float


_OFF = AlertBudget(0.0, 0.0)
_UNKNOWN = AlertBudget(0.5, 0.5)
_BY_DOMAIN = {
    "air": AlertBudget(1.0, 4.0),
    "weather": AlertBudget(0.25, 1.0),
    "noise": AlertBudget(1.0, 0.5),
    "water": AlertBudget(1.0, 1.0),
    "stack": AlertBudget(1.0, 1.0),
    "traffic": AlertBudget(1.0, 0.5),
    "power": AlertBudget(0.5, 0.5),
    "soil": AlertBudget(0.25, 0.5),
    "place": _OFF,
    "health": _OFF,
    "index": _OFF,  # an index has its own limits
}
_BY_QUANTITY = {
    # Rain and sun start and stop without a pattern; an angle has no band; a total only grows.
    "precipitation": _OFF,
    "precipitation_rate": AlertBudget(0.0, 0.25),
    "solar_irradiance": AlertBudget(0.0, 0.5),
    "illuminance": AlertBudget(0.0, 0.5),
    "uv_index": AlertBudget(0.0, 0.5),
    "wind_direction": _OFF,
    "energy": AlertBudget(0.5, 0.0),
    "volume": AlertBudget(0.5, 0.0),
    "vehicle_count": AlertBudget(1.0, 0.0),
    # Storms cause jumps of turbidity, so only rarer ones should alert.
    "turbidity": AlertBudget(0.5, 1.0),
    "battery_level": AlertBudget(0.25, 0.25),
}


def budget_for_quantity(name: str) -> AlertBudget:
    """The default budget of a quantity; an unknown one gets half an alert a month for each layer."""
    if name in _BY_QUANTITY:
        return _BY_QUANTITY[name]
    known = QUANTITIES.get(name)
    return _UNKNOWN if known is None else _BY_DOMAIN.get(known.domain, _UNKNOWN)
