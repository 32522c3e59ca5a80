"""The filters of lists: ``station``, ``gateway``, ``quantity``, ``group``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from telemetry.series import Series

Several = Annotated[list[str] | None, Query(description="Repeated or comma separated: any of.")]


def names_in(values: Sequence[str] | None) -> frozenset[str]:
    """The names in a filter, which may be repeated or separated by commas."""
    return frozenset(n for v in values or () for n in v.split(",") if n)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a request; an empty set matches everything."""

    stations: frozenset[str]
    gateways: frozenset[str]
    quantities: frozenset[str]
    groups: frozenset[str]

    def matches_location(self, group: str, station: str, gateway: str | None = None) -> bool:
        """True if the filters match this location."""
        return (
            (not self.groups or group in self.groups)
            and (not self.stations or station in self.stations)
            and (gateway is None or not self.gateways or gateway in self.gateways)
        )

    def matches_series(self, s: Series) -> bool:
        """True if the filters match a series."""
        return self.matches_location(s.group, s.station, s.key.gateway) and (
            not self.quantities or s.quantity in self.quantities
        )

    @property
    def empty(self) -> bool:
        """True if the filters match everything."""
        return not (self.stations or self.gateways or self.quantities or self.groups)


def filters(
    station: Several = None,
    gateway: Several = None,
    quantity: Several = None,
    group: Several = None,
) -> Filters:
    """The filters of a request."""
    return Filters(names_in(station), names_in(gateway), names_in(quantity), names_in(group))
