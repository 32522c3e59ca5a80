"""Reading InfluxDB's line protocol: ``measurement,tag=value field=value time``."""

import re
from dataclasses import dataclass

_TIME = re.compile(r"-?\d{1,19}")
_ESCAPED_NAME = re.compile(r"\\([,= \\])")
_ESCAPED_STRING = re.compile(r'\\(["\\])')
FieldValue = float | int | bool | str


@dataclass(frozen=True, slots=True)
class Line:
    """One line: names without escapes, field values with the type in which they were written.

    ``time`` is in the unit of the sender, None if the line has none.
    """

    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    time: int | None


def parse_line(text: str) -> Line:
    """Read one line of line protocol. Raises ValueError that says what is wrong with it."""
    head, position = _until(text, 0, " ")
    body, position = _until(text, _skip_spaces(text, position), " ", strings=True)
    time = text[position:].strip()
    measurement, *pairs = _split(head, ",")
    if not measurement or not body:
        raise ValueError("a line is: measurement,tag=value field=value time")
    if time and not _TIME.fullmatch(time):
        raise ValueError("the time is no integer")
    tags = (_pair(pair) for pair in pairs)
    fields = (_pair(pair, strings=True) for pair in _split(body, ",", strings=True))
    return Line(
        _unescape(measurement),
        {_unescape(name): _unescape(value) for name, value in tags},
        {_unescape(name): _field_value(value) for name, value in fields},
        int(time) if time else None,
    )


def _skip_spaces(text: str, position: int) -> int:
    while position < len(text) and text[position] == " ":
        position += 1
    return position


def _until(text: str, position: int, mark: str, strings: bool = False) -> tuple[str, int]:
    """The text from ``position`` to an unescaped ``mark`` outside strings, and where the mark is."""
    start, inside = position, False
    while position < len(text):
        c = text[position]
        if c == "\\":
            position += 2
            continue
        if c == '"' and strings:
            inside = not inside
        elif c == mark and not inside:
            break
        position += 1
    if inside:
        raise ValueError("a string does not end")
    return text[start:position], min(position, len(text))


def _split(text: str, mark: str, strings: bool = False) -> list[str]:
    parts = []
    position = 0
    while position <= len(text):
        part, position = _until(text, position, mark, strings)
        parts.append(part)
        position += 1
    return parts


def _pair(text: str, strings: bool = False) -> tuple[str, str]:
    name, position = _until(text, 0, "=", strings)
    if not name or position >= len(text):
        raise ValueError(f"{text[:40]!r} is not name=value")
    return name, text[position + 1 :]


def _field_value(text: str) -> FieldValue:
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return _ESCAPED_STRING.sub(r"\1", text[1:-1])
    if text.lower() in ("t", "true", "f", "false"):
        return text[0] in "tT"
    try:
        value = int(text[:-1]) if text[-1:] in ("i", "u") else float(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no value of line protocol") from error
    if isinstance(value, int) and not -(1 << 63) <= value < (1 << 64):
        raise ValueError(f"{text[:40]!r} does not fit in 64 bits")
    return value


def _unescape(name: str) -> str:
    return _ESCAPED_NAME.sub(r"\1", name)
