"""Fleets, and stations that publish, in a scenario file."""

from pydantic import Field, field_validator

from simulators.scenarios.fields import StrictModel, When, identifier
from telemetry.time.durations import DurationMs


class FleetModel(StrictModel):
    """Gateways at MQTT level: their number, metrics and behaviour."""

    gateways: int = Field(default=100, ge=1, le=100_000)
    metrics: int = Field(default=20, ge=1, le=500)
    interval: DurationMs = Field(default=10_000, gt=0)
    prefix: str = "fleet"
    acknowledged: bool = True
    ramp_up: DurationMs = 10_000
    metrics_per_device: int = Field(default=20, ge=1, le=500)
    joins_per_minute: float = Field(default=0.0, ge=0)
    drop_probability: float = Field(default=0.0, ge=0, le=1)
    storms: tuple["StormModel", ...] = ()

    _prefix = field_validator("prefix")(identifier)


class StormModel(StrictModel):
    """A share of the fleet loses its connections at once and reconnects in ``return_within``."""

    at: When
    share: float = Field(default=1.0, gt=0, le=1)
    down: DurationMs = 5_000
    return_within: DurationMs = 10_000
    graceful: bool = False


class PublishModel(StrictModel):
    """Stations publish to the broker directly, without buses and edge agents.

    A message of a device holds ``per_message`` times, ``step`` apart; at most ``window`` messages
    of a device wait for acknowledgement.
    """

    step: DurationMs = Field(default=60_000, ge=1)
    per_message: int = Field(default=10, ge=1, le=3600)
    window: int = Field(default=8, ge=1, le=1000)
