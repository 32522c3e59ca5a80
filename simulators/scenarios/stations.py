"""The stations of a scenario, repeated to the wanted number, each at its own place."""

from collections.abc import Iterator

from simulators.scenarios.model import Scenario, SimStation
from simulators.signals.places import Place

# towns and communes in and around Bình Dương, for stations that a scenario does not name
_TOWNS = (
    ("ta", "Thuận An", 10.932, 106.711), ("bc", "Bến Cát", 11.155, 106.592),
    ("tu", "Tân Uyên", 11.051, 106.764), ("bb", "Bàu Bàng", 11.268, 106.620),
    ("pg", "Phú Giáo", 11.282, 106.792), ("dt", "Dầu Tiếng", 11.279, 106.365),
    ("btu", "Bắc Tân Uyên", 11.126, 106.869), ("lt", "Lái Thiêu", 10.905, 106.699),
    ("hl", "Hòa Lợi", 11.093, 106.668), ("ap", "An Phú", 10.951, 106.743),
    ("td", "Tân Đông Hiệp", 10.922, 106.776), ("lu", "Lai Uyên", 11.276, 106.633),
    ("ud", "Uyên Hưng", 11.064, 106.799), ("pl", "Phú Lợi", 10.984, 106.679),
    ("bh", "Bình Hòa", 10.905, 106.728), ("vt", "Vĩnh Tân", 11.095, 106.720),
    ("tp", "Thới Hòa", 11.113, 106.621),
)  # fmt: skip


def stations_of(scenario: Scenario, count: int | None = None) -> list[SimStation]:
    """The first ``count`` stations (default: the count of the scenario).

    After the stations that the scenario names, they repeat at other places.
    """
    wanted = count or scenario.count or len(scenario.stations)
    return [_station(scenario, i) for i in range(wanted)] if scenario.stations else []


def _station(scenario: Scenario, i: int) -> SimStation:
    named = scenario.stations
    if i < len(named):
        return named[i]
    kind = named[i % len(named)]
    number = i - len(named)
    short, name, latitude, longitude = _TOWNS[number % len(_TOWNS)]
    round_trip = number // len(_TOWNS)
    if round_trip:
        short, name = f"{short}{round_trip + 1}", f"{name} {round_trip + 1}"
        latitude += 0.004 * round_trip
        longitude += 0.003 * round_trip
    prefix = kind.gateway.split("-")[0]
    return kind.model_copy(
        update={
            "id": short, "name": name, "gateway": f"{prefix}-{short}-{i + 1:03d}",
            "latitude": round(latitude, 4), "longitude": round(longitude, 4),
        }
    )  # fmt: skip


def place_of(station: SimStation) -> Place:
    """The place of a station in the simulated world."""
    around = station.surroundings
    return Place(
        station.id, station.latitude, station.longitude, traffic=around.traffic,
        vehicles_per_h=around.vehicles_per_h, capacity_per_h=around.capacity_per_h,
        free_speed_km_h=around.free_speed_km_h, industry=around.industry,
        discharge_m3_h=around.discharge_m3_h,
    )  # fmt: skip


def link_name(station: SimStation, bus: str) -> str:
    """The name of the symbolic link of a serial bus."""
    return f"{station.id}-{bus}"


def tcp_buses(stations: list[SimStation]) -> Iterator[tuple[str, SimStation, int]]:
    """Key, station and configured port of each TCP bus."""
    for station in stations:
        for bus in station.buses:
            if bus.tcp is not None:
                yield link_name(station, bus.name), station, bus.tcp.port
