"""US EPA AQI with the PM2.5 breakpoints in force since 6 May 2024.

Source: 40 CFR 58 appendix G; EPA-454/B-24-002. Inputs are truncated to the resolution of the table,
results are rounded with halves up. Above the table the last segment is extended ("beyond index").
The highest PM2.5 band (225.5-325.4) is from secondary sources.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cloud_ingest.indices.exact import exact, round_half_up, truncate
from cloud_ingest.indices.index import IndexValue, SubIndex, overall
from cloud_ingest.indices.nowcast import nowcast

_BANDS = ((0, 50), (51, 100), (101, 150), (151, 200), (201, 300), (301, 500))


@dataclass(frozen=True, slots=True)
class _Table:
    """Breakpoints (low, high) in ``unit``, with resolution ``step``; ``first``: band of the first row."""

    unit: str
    step: str
    rows: tuple[tuple[str, str], ...]
    first: int = 0


TABLES: dict[str, _Table] = {
    "pm2_5_24h": _Table("ug/m3", "0.1", (("0", "9.0"), ("9.1", "35.4"), ("35.5", "55.4"),
                        ("55.5", "125.4"), ("125.5", "225.4"), ("225.5", "325.4"))),
    "pm10_24h": _Table("ug/m3", "1", (("0", "54"), ("55", "154"), ("155", "254"), ("255", "354"),
                       ("355", "424"), ("425", "604"))),
    "o3_8h": _Table("[ppm]", "0.001", (("0", "0.054"), ("0.055", "0.070"), ("0.071", "0.085"),
                    ("0.086", "0.105"), ("0.106", "0.200"))),
    "o3_1h": _Table("[ppm]", "0.001", (("0.125", "0.164"), ("0.165", "0.204"), ("0.205", "0.404"),
                    ("0.405", "0.604")), first=2),
    "co_8h": _Table("[ppm]", "0.1", (("0", "4.4"), ("4.5", "9.4"), ("9.5", "12.4"),
                    ("12.5", "15.4"), ("15.5", "30.4"), ("30.5", "50.4"))),
    # one-hour SO2 defines no index of 200 or more by itself; the rows from 305 on are 24-hour means
    "so2_1h": _Table("[ppb]", "1", (("0", "35"), ("36", "75"), ("76", "185"), ("186", "304"),
                     ("305", "604"), ("605", "1004"))),
    "no2_1h": _Table("[ppb]", "1", (("0", "53"), ("54", "100"), ("101", "360"), ("361", "649"),
                     ("650", "1249"), ("1250", "2049"))),
}  # fmt: skip

# ug/m3 of one ppb at 25 Cel and 1013.25 hPa (molar volume 24.4654 L).
UG_M3_OF_PPB = {"so2": 2.6186, "no2": 1.8804, "o3": 1.9619, "co": 1.1449}


def sub_index(column: str, concentration: float | Fraction) -> int | None:
    """The AQI of a concentration by one column of TABLES, in the unit of the column.

    None for negative values, below the first row, and for eight-hour ozone above the last row, where
    the one-hour value applies.
    """
    table = TABLES[column]
    c = concentration if isinstance(concentration, Fraction) else exact(concentration)
    c = truncate(c, Fraction(table.step))
    rows = [(Fraction(low), Fraction(high)) for low, high in table.rows]
    if c < rows[0][0] or (column == "o3_8h" and c > rows[-1][1]):
        return None
    for i, (low, high) in enumerate(rows):
        if c <= high or i == len(rows) - 1:
            index_low, index_high = _BANDS[i + table.first]
            slope = (index_high - index_low) / (high - low)
            return round_half_up(slope * (c - low) + index_low)
    return None


def hourly(
    hours: Mapping[str, Sequence[float | None]], mean_8h: Mapping[str, float | None]
) -> IndexValue | None:
    """The AQI of the hour: NowCast of dust, eight-hour means of CO and ozone, one-hour means of gases.

    ``hours`` holds one-hour means by pollutant, the newest first; all values are in ug/m3.
    """
    found: list[SubIndex] = []
    for name, column in (("pm2_5", "pm2_5_24h"), ("pm10", "pm10_24h")):
        found += _sub(name, column, nowcast(hours.get(name, ())), "nowcast")
    for name, column in (("so2", "so2_1h"), ("no2", "no2_1h"), ("o3", "o3_1h")):
        found += _gas(name, column, next(iter(hours.get(name, ())), None), "1h")
    for name, column in (("o3", "o3_8h"), ("co", "co_8h")):
        found += _gas(name, column, mean_8h.get(name), "8h")
    return overall("epa_aqi", found)


def daily(
    mean_24h: Mapping[str, float | None],
    max_1h: Mapping[str, float | None],
    max_8h: Mapping[str, float | None],
) -> IndexValue | None:
    """The AQI of a day, from means and highest means by pollutant in ug/m3."""
    found: list[SubIndex] = []
    for name, column in (("pm2_5", "pm2_5_24h"), ("pm10", "pm10_24h")):
        mean = mean_24h.get(name)
        found += _sub(name, column, None if mean is None else exact(mean), "24h")
    for name, column in (("so2", "so2_1h"), ("no2", "no2_1h"), ("o3", "o3_1h")):
        found += _gas(name, column, max_1h.get(name), "max 1h")
    for name, column in (("o3", "o3_8h"), ("co", "co_8h")):
        found += _gas(name, column, max_8h.get(name), "max 8h")
    return overall("epa_aqi", found)


def _gas(name: str, column: str, value_ug_m3: float | None, averaging: str) -> list[SubIndex]:
    if value_ug_m3 is None:
        return []
    ppb = value_ug_m3 / UG_M3_OF_PPB[name]
    return _sub(
        name, column, exact(ppb / 1000 if TABLES[column].unit == "[ppm]" else ppb), averaging
    )


def _sub(name: str, column: str, value: Fraction | None, averaging: str) -> list[SubIndex]:
    index = sub_index(column, value) if value is not None else None
    if value is None or index is None:
        return []
    return [SubIndex(name, averaging, float(value), TABLES[column].unit, index)]
