"""Conversion from the unit in which a value arrives to the unit in which its quantity is stored.

Within a dimension the factor is fixed (telemetry.units). A gas given as a mole fraction becomes a
mass concentration only at a stated temperature and pressure (ideal gas). An unknown unit is
refused, never guessed.
"""

from dataclasses import dataclass

from telemetry.quantities import QUANTITIES
from telemetry.units import UNITS, UnitError, conversion

GAS_CONSTANT = 8.314462618  # J/(mol K), CODATA 2018, exact
ZERO_CELSIUS_K = 273.15
# g/mol, from the IUPAC standard atomic weights (2021, abridged)
MOLAR_MASS = {
    "so2": 64.058, "no2": 46.005, "o3": 47.997, "co": 28.010, "nh3": 17.031, "h2s": 34.076,
}  # fmt: skip

SPELLINGS = {
    "°C": "Cel", "degC": "Cel", "℃": "Cel", "C": "Cel", "°F": "[degF]",
    "µg/m³": "ug/m3", "μg/m³": "ug/m3", "µg/m3": "ug/m3", "μg/m3": "ug/m3", "ug/m³": "ug/m3",
    "mg/m³": "mg/m3", "ppm": "[ppm]", "ppb": "[ppb]", "%RH": "%", "% RH": "%", "pct": "%",
    "dBA": "dB[A]", "dB(A)": "dB[A]", "dBm": "dB[mW]", "W/m²": "W/m2", "m³/h": "m3/h", "m³": "m3",
    "kWh": "kW.h", "Wh": "W.h", "VA": "V.A", "kVA": "kV.A", "µS/cm": "uS/cm", "μS/cm": "uS/cm",
    "NTU": "[NTU]", "pH": "[pH]", "°": "deg", "/": "1", "hpa": "hPa", "mmHg": "mm[Hg]",
    "psi": "[psi]", "mph": "[mi_i]/h", "kn": "[kn_i]", "lux": "lx", "lm/m2": "lx",
    "veh/h": "1/h", "l/min": "L/min", "m3/s": "m3/s",
}  # fmt: skip
"""Common spellings of units that other systems (Home Assistant, SenML) use, as UCUM codes."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Temperature and pressure at which a gas concentration is stated."""

    temperature_c: float
    pressure_hpa: float


def ucum(unit: str) -> str:
    """The UCUM code of a common spelling; the text itself if it is none of these."""
    text = unit.strip()
    return text if text in UNITS else SPELLINGS.get(text, text)


def conversion_to_stored(
    quantity: str, unit: str, conditions: Conditions | None = None
) -> tuple[str, float, float]:
    """The unit in which ``quantity`` is stored, and factor and offset that convert ``unit`` to it.

    No unit ("") is taken as the stored one. Raises UnitError for an unknown unit, one of another
    dimension, and for a gas in ppb without ``conditions``.
    """
    given = ucum(unit)
    if quantity not in QUANTITIES:
        if given and given not in UNITS:
            raise UnitError(f"unknown unit {unit!r} (units are UCUM codes, such as ug/m3 or Cel)")
        return given, 1.0, 0.0
    stored = QUANTITIES[quantity].unit
    if given in ("", stored):
        return stored, 1.0, 0.0
    known = UNITS.get(given)
    of_gas = known is not None and {known.dimension, UNITS[stored].dimension} == {
        "mole fraction", "mass concentration",
    }  # fmt: skip
    if not of_gas:
        return stored, *conversion(given, stored)
    if conditions is None:
        raise UnitError(
            f"{unit} of {quantity} becomes {stored} only at a stated temperature and pressure"
        )
    return stored, _gas_factor(quantity, given, stored, conditions), 0.0


def _gas_factor(quantity: str, unit: str, stored: str, conditions: Conditions) -> float:
    mass = MOLAR_MASS.get(quantity)
    if mass is None:
        raise UnitError(f"{unit} of {quantity}: its molar mass is not known here")
    if conditions.temperature_c <= -ZERO_CELSIUS_K or conditions.pressure_hpa <= 0:
        raise UnitError(f"{unit} of {quantity}: the stated temperature or pressure cannot be")
    mol_per_m3 = (
        conditions.pressure_hpa * 100 / (GAS_CONSTANT * (conditions.temperature_c + ZERO_CELSIUS_K))
    )
    grams_per_mole_fraction = mol_per_m3 * mass
    if UNITS[unit].dimension == "mole fraction":
        return UNITS[unit].factor * grams_per_mole_fraction / UNITS[stored].factor
    return UNITS[unit].factor / grams_per_mole_fraction / UNITS[stored].factor
