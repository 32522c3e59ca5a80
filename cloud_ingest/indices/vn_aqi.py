"""VN_AQI by Decision 1459/QĐ-TCMT of 12/11/2019.

Concentrations are in ug/m3. Neighbouring segments share a breakpoint (25 ug/m3 of PM2.5 is exactly
50). Where the Decision says nothing, halves are rounded up, values above the scale give 500, and
the NowCast is normalised.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from cloud_ingest.indices.exact import exact, round_half_up
from cloud_ingest.indices.index import IndexValue, SubIndex, overall
from cloud_ingest.indices.nowcast import nowcast

HIGHEST = 500
_LEVELS = (0, 50, 100, 150, 200, 300, 400, 500)
# Table 2
BREAKPOINTS: dict[str, tuple[int, ...]] = {
    "o3_1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
    "o3_8h": (0, 100, 120, 170, 210, 400),
    "co": (0, 10_000, 30_000, 45_000, 60_000, 90_000, 120_000, 150_000),
    "so2": (0, 125, 350, 550, 800, 1600, 2100, 2630),
    "no2": (0, 100, 200, 700, 1200, 2350, 3100, 3850),
    "pm10": (0, 50, 150, 250, 350, 420, 500, 600),
    "pm2_5": (0, 25, 50, 80, 150, 250, 350, 500),
}
PARTICLES = ("pm2_5", "pm10")
GASES = ("so2", "co", "no2")
POLLUTANTS = (*PARTICLES, *GASES, "o3")


def sub_index(column: str, concentration: float | Fraction) -> int | None:
    """The AQI of one pollutant; ``column`` is one of BREAKPOINTS.

    None for negative concentrations, and for eight-hour ozone above 400, where the one-hour value
    applies.
    """
    c = concentration if isinstance(concentration, Fraction) else exact(concentration)
    points = BREAKPOINTS[column]
    if c < 0 or (column == "o3_8h" and c > points[-1]):
        return None
    for i in range(len(points) - 1):
        if c <= points[i + 1]:
            low, high = points[i], points[i + 1]
            slope = Fraction(_LEVELS[i + 1] - _LEVELS[i], high - low)
            return round_half_up(slope * (c - low) + _LEVELS[i])
    return HIGHEST


def hourly(hours: Mapping[str, Sequence[float | None]]) -> IndexValue | None:
    """AQI of the hour, from one-hour means of each pollutant, the newest first (twelve for dust).

    Dust counts with its NowCast, ozone with its one-hour mean. None without PM10 and PM2.5.
    """
    found: list[SubIndex] = []
    for name in PARTICLES:
        value = nowcast(hours.get(name, ()))
        found += _sub(name, name, value, "nowcast")
    for name in (*GASES, "o3"):
        newest = next(iter(hours.get(name, ())), None)
        column = "o3_1h" if name == "o3" else name
        found += _sub(name, column, None if newest is None else exact(newest), "1h")
    return overall("vn_aqi", found, PARTICLES)


def daily(
    mean_24h: Mapping[str, float | None],
    max_1h: Mapping[str, float | None],
    o3_max_8h: float | None,
) -> IndexValue | None:
    """AQI of the day: 24-hour mean of dust, highest hour of gases, either mean of ozone.

    The hours of a day end at 01:00 to 24:00. None without PM10 and PM2.5.
    """
    found: list[SubIndex] = []
    for name in PARTICLES:
        found += _sub(name, name, _exact(mean_24h.get(name)), "24h")
    for name in GASES:
        found += _sub(name, name, _exact(max_1h.get(name)), "max 1h")
    found += _sub("o3", "o3_1h", _exact(max_1h.get("o3")), "max 1h")
    found += _sub("o3", "o3_8h", _exact(o3_max_8h), "max 8h")
    return overall("vn_aqi", found, PARTICLES)


def _exact(value: float | None) -> Fraction | None:
    return None if value is None else exact(value)


def _sub(name: str, column: str, value: Fraction | None, averaging: str) -> list[SubIndex]:
    index = sub_index(column, value) if value is not None else None
    if value is None or index is None:
        return []
    return [SubIndex(name, averaging, float(value), "ug/m3", index)]
