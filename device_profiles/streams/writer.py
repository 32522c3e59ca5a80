"""Encodes values as the frames of a device, for simulators and tests."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from device_profiles.streams import registry
from device_profiles.streams.wire import Wire

if TYPE_CHECKING:
    from device_profiles.profile import Profile


class StreamEncoder:
    """Encodes the frames of one device."""

    def __init__(self, wire: Wire, profile: "Profile") -> None:
        self._wire = wire
        self._profile = profile

    def encode(self, values: Mapping[str, float | None]) -> bytes:
        """One frame with ``values`` (metric name: value in the unit of the metric).

        None becomes the raw value of the metric for a missing reading, or is left out if there is
        no such value. KeyError for a metric that is not in the profile.
        """
        fields: dict[str, float] = {}
        for name, value in values.items():
            metric = self._profile.metric(name)
            if value is not None:
                fields[metric.field] = (value - metric.offset) / metric.scale
            elif metric.missing:
                fields[metric.field] = metric.missing[0]
        return self._wire.encode(fields)


def encoder(profile: "Profile") -> StreamEncoder:
    """An encoder for a device of this profile."""
    return StreamEncoder(registry.wire(profile.protocol), profile)
