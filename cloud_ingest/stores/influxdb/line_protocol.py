"""Writing line protocol: samples as text for InfluxDB, and names encoded so that they survive.

Measurement = quantity; tags ``station, gateway, device, metric``; fields ``value`` (float, absent
if the device had none) and ``quality`` (integer); times in milliseconds.

Line protocol cannot represent a line break in a name, and a backslash before a comma changes its
meaning. Each byte of such characters, and of ``%`` itself, is written as ``%`` and two hexadecimal
digits.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import numpy as np

from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

TAGS = ("device", "gateway", "metric", "station")
"""Sorted by name, as the server stores them."""
_UNSAFE = re.compile(r"[%\\\x00-\x1f\x7f\x85\u2028\u2029]")
_MEASUREMENT = re.compile(r"([, ])")
_TAG = re.compile(r"([,= ])")
_QUALITY = tuple(f",quality={flag}i " for flag in range(256))
EMPTY = "%"
"""Stands for an empty name, which line protocol does not allow."""


def encode_name(name: str) -> str:
    """``name`` with characters encoded that InfluxDB would change or refuse."""
    if not name:
        return EMPTY
    return _UNSAFE.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), name)


def decode_name(text: str) -> str:
    """The inverse of ``encode_name``."""
    return "" if text == EMPTY else unquote(text, errors="strict")


def prefix(series: Series) -> str:
    """The beginning of every line of ``series``, up to its fields."""
    return head(measurement(series), tags_of(series))


def head(name: str, tags: Mapping[str, str]) -> str:
    """The beginning of a line; measurement and tags are encoded but not escaped."""
    pairs = "".join(f",{tag}={_TAG.sub(_escape, tags[tag])}" for tag in TAGS)
    return _MEASUREMENT.sub(_escape, name) + pairs + " "


def escaped_tag(name: str) -> str:
    """``name`` as a tag value in a line."""
    return _TAG.sub(_escape, encode_name(name))


def measurement(series: Series) -> str:
    """The measurement of ``series``."""
    return encode_name(series.quantity)


def tags_of(series: Series) -> dict[str, str]:
    """The tags of ``series``, encoded but not escaped."""
    key = series.key
    names = {
        "device": key.device,
        "gateway": key.gateway,
        "metric": key.metric,
        "station": series.station,
    }
    return {tag: encode_name(name) for tag, name in names.items()}


def key_of(tags: Mapping[str, str]) -> SeriesKey:
    """The series key in the tags of a result."""
    return SeriesKey(*(decode_name(tags[t]) for t in ("gateway", "device", "metric")))


def _escape(match: re.Match[str]) -> str:
    return "\\" + match.group()


def lines(batch: SampleBatch, prefixes: Sequence[str]) -> list[str]:
    """A line for each sample; ``prefixes`` by series index."""
    columns = zip(
        batch.series.tolist(),
        batch.value.tolist(),
        batch.quality.tolist(),
        batch.time_ms.tolist(),
        strict=True,
    )
    if np.isnan(batch.value).any():
        return [
            f"{prefixes[s]}value={v!r}{_QUALITY[q]}{t}"
            if v == v  # noqa: PLR0124  # NaN is not
            else f"{prefixes[s]}{_QUALITY[q][1:]}{t}"
            for s, v, q, t in columns
        ]
    return [f"{prefixes[s]}value={v!r}{_QUALITY[q]}{t}" for s, v, q, t in columns]


def quoted_identifier(name: str) -> str:
    """``name`` as an identifier in InfluxQL."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted_text(text: str) -> str:
    """``text`` as a string in InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
