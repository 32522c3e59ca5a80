"""The text of an alert in both languages, with its values."""

import math
from collections.abc import Mapping

from alert_rules.rule import PLACEHOLDERS, LocalText, Rule
from telemetry.quantities import QUANTITIES
from telemetry.time.local_time import local_datetime

LANGUAGES = ("vi", "en")
_MOST_DIGITS = 6
_UNITS = {
    "ug/m3": "µg/m³", "mg/m3": "mg/m³", "ug/L": "µg/L", "Cel": "°C", "dB[A]": "dBA", "1": "",
    "[pH]": "", "[NTU]": "NTU", "[ppm]": "ppm", "[Pt-Co]": "Pt-Co", "m3/h": "m³/h", "m3": "m³",
    "uS/cm": "µS/cm", "W/m2": "W/m²", "deg": "°", "V.A": "VA", "kW.h": "kWh", "dB[mW]": "dBm",
    "1/h": "/h",
}  # fmt: skip
_DEFAULT = {
    "limit": LocalText(
        vi="{station}: {quantity} là {value} {unit}, giới hạn {limit} {unit} ({name}).",
        en="{station}: {quantity} is {value} {unit}, limit {limit} {unit} ({name}).",
    ),
    "plain": LocalText(
        vi="{station}: {name} ({quantity}, {value} {unit}).",
        en="{station}: {name} ({quantity}, {value} {unit}).",
    ),
    "metric": LocalText(
        vi="{station}: {subject} không có dữ liệu từ {start}.",
        en="{station}: no data from {subject} since {start}.",
    ),
    "device": LocalText(
        vi="{station}: thiết bị {subject} im lặng từ {start}.",
        en="{station}: device {subject} has been silent since {start}.",
    ),
    "bus": LocalText(
        vi="{station}: mọi thiết bị trên bus {subject} im lặng từ {start}.",
        en="{station}: every device on bus {subject} has been silent since {start}.",
    ),
    "gateway": LocalText(
        vi="{station}: mất liên lạc với gateway {subject} từ {start}.",
        en="{station}: gateway {subject} has been out of touch since {start}.",
    ),
    "broker": LocalText(
        vi="Mất kết nối tới MQTT broker từ {start}; không trạm nào gửi được dữ liệu.",
        en="The MQTT broker has been out of reach since {start}; no station can deliver.",
    ),
}


def fill(rule: Rule, scope: str, values: Mapping[str, object]) -> dict[str, str]:
    """The rule's text, or the default text, in each language.

    Numbers in ``values`` are written as the language does; times are local.
    """
    text = rule.text
    if text is None or (scope != "metric" and rule.kind == "no_data"):
        if rule.kind == "no_data":
            text = _DEFAULT[scope]
        else:
            text = _DEFAULT["limit" if values.get("limit") is not None else "plain"]
    filled = {}
    for language in LANGUAGES:
        words = {name: _shown(values.get(name), name, language) for name in PLACEHOLDERS}
        value, limit = values.get("value"), values.get("limit")
        if isinstance(value, float) and isinstance(limit, float):
            words["value"] = shown_number(value, language, limit)
        words["name"] = getattr(rule.name, language)
        words["quantity"] = quantity_name(str(values.get("quantity") or ""), language)
        words["hold"] = shown_window(rule.hold, language)
        words["window"] = shown_window(rule.averaging_ms or 0, language)
        filled[language] = _tidy(getattr(text, language).format_map(words))
    return filled


def quantity_name(quantity: str, language: str) -> str:
    """A quantity's name for people."""
    known = QUANTITIES.get(quantity)
    return getattr(known, language) if known else quantity


def shown_unit(unit: str) -> str:
    """A unit (UCUM code) as people write it."""
    return _UNITS.get(unit, unit)


def shown_number(value: float, language: str, apart_from: float | None = None) -> str:
    """At most four significant digits and no exponent, with the language's decimal mark.

    It gets more digits if it would otherwise look equal to ``apart_from``, a limit that it passed.
    """
    if math.isnan(value):
        return "–"
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3
    if apart_from is not None and value != apart_from:
        while digits < _MOST_DIGITS and f"{value:.{digits}f}" == f"{apart_from:.{digits}f}":
            digits += 1
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace(".", ",") if language == "vi" else text


def shown_time(time_ms: int) -> str:
    """Day and time in Viet Nam."""
    return local_datetime(time_ms).strftime("%d/%m/%Y %H:%M:%S")


def shown_window(span_ms: int, language: str) -> str:
    """A window as the regulations name it: 24 hours, not a day."""
    one_unit = (
        (3_600_000, 72, ("giờ", "hour")),
        (60_000, 90, ("phút", "minute")),
        (1000, 90, ("giây", "second")),
    )
    for unit_ms, most, (vi, en) in one_unit:
        count, rest = divmod(span_ms, unit_ms)
        if count and not rest and count <= most:
            return f"{count} {vi}" if language == "vi" else f"{count}-{en}"
    return shown_length(span_ms, language)


def shown_length(span_ms: int, language: str) -> str:
    """A duration in its two largest units."""
    names = ("ngày", "giờ", "phút", "giây") if language == "vi" else ("d", "h", "min", "s")
    seconds = span_ms // 1000
    parts = (seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    shown = [f"{n} {name}" for n, name in zip(parts, names, strict=True) if n]
    return " ".join(shown[:2]) or f"0 {names[3]}"


def _shown(value: object, name: str, language: str) -> str:
    if value is None:
        return "–"
    if name in ("start", "time") and isinstance(value, int):
        return shown_time(value)
    if isinstance(value, float):
        return shown_number(value, language)
    if name == "unit":
        return shown_unit(str(value))
    return str(value)


def _tidy(text: str) -> str:
    """Remove the double blanks that an empty unit leaves."""
    return " ".join(text.split()).replace(" ,", ",").replace(" .", ".").replace(" )", ")")
