"""Which detectors suit which quantity, and how many alerts a month are worth an officer's time."""

from dataclasses import dataclass
from enum import StrEnum

from telemetry.quantities import QUANTITIES


class Layer(StrEnum):
    """What a detector judges: the world, or the sensor."""

    STATISTICAL = "statistical"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class AlertBudget:
    """Layers to run for a quantity, and their budgets in alerts a month and series.

    A budget of 0 leaves the layer off.
    """

    statistical: float
    fault: float

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that are on."""
        budgets = {Layer.STATISTICAL: self.statistical, Layer.FAULT: self.fault}
        return tuple(layer for layer, budget in budgets.items() if budget > 0)

    def budget(self, layer: Layer) -> float:
        """Alerts a month for a layer."""
        return self.statistical if layer is Layer.STATISTICAL else self.fault


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
    # Rain and sun come and go by themselves; an angle has no band; a total only grows.
    "precipitation": _OFF,
    "precipitation_rate": AlertBudget(0.0, 0.25),
    "solar_irradiance": AlertBudget(0.0, 0.5),
    "illuminance": AlertBudget(0.0, 0.5),
    "uv_index": AlertBudget(0.0, 0.5),
    "wind_direction": _OFF,
    "energy": AlertBudget(0.5, 0.0),
    "volume": AlertBudget(0.5, 0.0),
    "vehicle_count": AlertBudget(1.0, 0.0),
    # Storms make turbidity jump: only what is rare even so.
    "turbidity": AlertBudget(0.5, 1.0),
    "battery_level": AlertBudget(0.25, 0.25),
}


def budget_for_quantity(name: str) -> AlertBudget:
    """The defaults for a quantity; an unknown one is watched with half a budget."""
    if name in _BY_QUANTITY:
        return _BY_QUANTITY[name]
    known = QUANTITIES.get(name)
    return _UNKNOWN if known is None else _BY_DOMAIN.get(known.domain, _UNKNOWN)
