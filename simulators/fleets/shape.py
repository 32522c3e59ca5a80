"""The devices, metrics and aliases of a simulated gateway."""

from dataclasses import dataclass
from functools import cached_property

from simulators.scenarios.fleets import FleetModel
from telemetry.quantities import QUANTITIES

# quantities of the metrics of an invented device, in turn, with mean and amplitude
ORDINARY: tuple[tuple[str, float, float], ...] = (
    ("pm2_5", 28.0, 9.0), ("pm10", 46.0, 14.0), ("air_temperature", 28.5, 4.0),
    ("relative_humidity", 74.0, 12.0), ("no2", 31.0, 12.0), ("co", 780.0, 250.0),
    ("o3", 52.0, 30.0), ("so2", 9.0, 3.0), ("laeq", 66.0, 6.0), ("wind_speed", 1.9, 0.9),
    ("atmospheric_pressure", 1009.5, 1.6), ("voltage", 226.0, 3.5), ("current", 0.42, 0.1),
    ("active_power", 92.0, 20.0), ("frequency", 50.0, 0.02), ("ph", 7.2, 0.3),
    ("turbidity", 17.0, 5.0), ("conductivity", 1100.0, 200.0), ("vehicle_speed", 38.0, 7.0),
    ("signal_strength", -71.0, 5.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShapeMetric:
    """One metric: name, quantity, canonical unit and possible range."""

    name: str
    quantity: str
    unit: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ShapeDevice:
    """One device and the interval of its reports."""

    name: str
    metrics: tuple[ShapeMetric, ...]
    interval_ms: int
    profile: str = ""
    manufacturer: str = "Simulated"
    model: str = "fleet"
    bus: str = ""


@dataclass(frozen=True)
class GatewayShape:
    """The devices of a gateway. Aliases count from 1; the batch number of a device comes last."""

    devices: tuple[ShapeDevice, ...]

    @cached_property
    def aliases(self) -> tuple[tuple[int, ...], ...]:
        """The aliases of the metrics of each device."""
        found, following = [], 1
        for device in self.devices:
            found.append(tuple(range(following, following + len(device.metrics))))
            following += len(device.metrics) + 1
        return tuple(found)

    @cached_property
    def batch_aliases(self) -> tuple[int, ...]:
        """The alias of the batch number of each device."""
        return tuple(a[-1] + 1 for a in self.aliases)


def shape_of(fleet: FleetModel) -> GatewayShape:
    """The shape of the gateways of a fleet: common quantities, spread over devices."""
    metrics = []
    for i in range(fleet.metrics):
        quantity = ORDINARY[i % len(ORDINARY)][0]
        number = i // len(ORDINARY)
        name = quantity if not number else f"{quantity}_{number + 1}"
        metrics.append(ShapeMetric(name, quantity, QUANTITIES[quantity].unit))
    size = fleet.metrics_per_device
    parts = [metrics[i : i + size] for i in range(0, len(metrics), size)]
    return GatewayShape(
        tuple(ShapeDevice(f"d{i + 1}", tuple(p), fleet.interval) for i, p in enumerate(parts))
    )
