"""The UCUM unit codes that Quantrac knows, and conversion within a dimension."""

from dataclasses import dataclass


class UnitError(ValueError):
    """A unit that is unknown or cannot be converted to another."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a dimension: ``base = value * factor + offset``."""

    code: str
    dimension: str
    factor: float = 1.0
    offset: float = 0.0


# dimension: code, factor (and offset) to the dimension's base unit
_TABLE: dict[str, list[tuple[str, float] | tuple[str, float, float]]] = {
    "mass concentration": [("g/m3", 1.0), ("mg/m3", 1e-3), ("ug/m3", 1e-6), ("ng/m3", 1e-9),
                           ("g/L", 1e3), ("mg/L", 1.0), ("ug/L", 1e-3), ("ng/L", 1e-6)],
    "mole fraction": [("[ppm]", 1e-6), ("[ppb]", 1e-9), ("[ppth]", 1e-3)],
    "temperature": [("Cel", 1.0, 0.0), ("K", 1.0, -273.15), ("[degF]", 5 / 9, -160 / 9)],
    "ratio": [("%", 1.0)],
    "number": [("1", 1.0), ("{count}", 1.0)],
    "pressure": [("Pa", 1.0), ("hPa", 100.0), ("kPa", 1000.0), ("mbar", 100.0), ("bar", 1e5),
                 ("[psi]", 6894.757293168), ("mm[Hg]", 133.322387415), ("[in_i'Hg]", 3386.38815789)],
    "speed": [("m/s", 1.0), ("km/h", 1 / 3.6), ("[mi_i]/h", 0.44704), ("[kn_i]", 1852 / 3600),
              ("cm/s", 0.01)],
    "angle": [("deg", 1.0), ("rad", 57.29577951308232)],
    "length": [("m", 1.0), ("mm", 1e-3), ("cm", 1e-2), ("km", 1e3), ("[in_i]", 0.0254),
               ("[ft_i]", 0.3048)],
    "precipitation rate": [("mm/h", 1.0), ("mm/min", 60.0), ("um/h", 1e-3), ("um/min", 0.06)],
    "irradiance": [("W/m2", 1.0)],
    "illuminance": [("lx", 1.0), ("klx", 1e3)],
    "sound level": [("dB[A]", 1.0)],
    "sound level unweighted": [("dB", 1.0)],
    "acidity": [("[pH]", 1.0)],
    "conductivity": [("uS/cm", 1.0), ("mS/cm", 1e3), ("S/m", 1e4), ("mS/m", 10.0)],
    "turbidity": [("[NTU]", 1.0)],
    "turbidity formazin": [("[FNU]", 1.0)],
    "voltage": [("V", 1.0), ("mV", 1e-3), ("kV", 1e3)],
    "colour": [("[Pt-Co]", 1.0)],
    "volume flow": [("m3/h", 1.0), ("L/s", 3.6), ("L/min", 0.06), ("L/h", 1e-3), ("m3/s", 3600.0),
                    ("m3/min", 60.0), ("m3/d", 1 / 24)],
    "volume": [("m3", 1.0), ("L", 1e-3)],
    "rate": [("1/h", 1.0), ("1/min", 60.0), ("1/s", 3600.0)],
    "time": [("s", 1.0), ("ms", 1e-3), ("min", 60.0), ("h", 3600.0), ("d", 86400.0)],
    "current": [("A", 1.0), ("mA", 1e-3)],
    "active power": [("W", 1.0), ("kW", 1e3), ("MW", 1e6)],
    "apparent power": [("V.A", 1.0), ("kV.A", 1e3)],
    "reactive power": [("var", 1.0), ("kvar", 1e3)],
    "frequency": [("Hz", 1.0), ("kHz", 1e3)],
    "energy": [("kW.h", 1.0), ("W.h", 1e-3), ("MW.h", 1e3), ("J", 1 / 3.6e6), ("kJ", 1 / 3.6e3)],
    "soil content": [("mg/kg", 1.0)],
    "signal": [("dB[mW]", 1.0)],
}  # fmt: skip

UNITS: dict[str, Unit] = {
    row[0]: Unit(row[0], dimension, *row[1:]) for dimension, rows in _TABLE.items() for row in rows
}


def convert(value: float, unit: str, to: str) -> float:
    """Convert a value; UnitError if a unit is unknown or the dimensions differ."""
    if unit == to:
        return value
    factor, offset = conversion(unit, to)
    return value * factor + offset


def conversion(unit: str, to: str) -> tuple[float, float]:
    """Factor and offset from ``unit`` to ``to``: ``value * factor + offset``; raises UnitError."""
    for code in (unit, to):
        if code not in UNITS:
            raise UnitError(f"unknown unit {code!r} (units are UCUM codes, such as ug/m3 or Cel)")
    a, b = UNITS[unit], UNITS[to]
    if a.dimension != b.dimension:
        raise UnitError(f"{unit} ({a.dimension}) cannot become {to} ({b.dimension})")
    return a.factor / b.factor, (a.offset - b.offset) / b.factor
