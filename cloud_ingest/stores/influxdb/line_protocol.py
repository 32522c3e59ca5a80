"""Line protocol: samples as the text that InfluxDB takes, and names that survive it.

Measurement = quantity; tags ``station, gateway, device, metric``; fields ``value`` (float, absent
where the device had none) and ``quality`` (integer); times in milliseconds.

Line protocol cannot carry a line break in a name, and a backslash before a comma changes meaning.
Such characters stand as ``%`` and two hexadecimal digits a byte, and so does ``%`` itself.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import numpy as np

from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

TAGS = ("device", "gateway", "metric", "station")
"""In the order of their names, in which the server keeps them."""
_UNSAFE = re.compile(r"[%\\\x00-\x1f\x7f\x85\u2028\u2029]")
_MEASUREMENT = re.compile(r"([, ])")
_TAG = re.compile(r"([,= ])")
_QUALITY = tuple(f",quality={flag}i " for flag in range(256))
EMPTY = "%"
"""Stands for an empty name, which line protocol does not have."""


def encode_name(name: str) -> str:
    """``name`` without characters that InfluxDB would change or refuse."""
    if not name:
        return EMPTY
    return _UNSAFE.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), name)


def decode_name(text: str) -> str:
    """The name that ``encode_name`` made ``text`` of."""
    return "" if text == EMPTY else unquote(text, errors="strict")


def prefix(series: Series) -> str:
    """How every line of ``series`` begins, until before its fields."""
    return head(measurement(series), tags_of(series))


def head(name: str, tags: Mapping[str, str]) -> str:
    """How a line with this measurement and these tags begins; names are encoded, not escaped."""
    pairs = "".join(f",{tag}={_TAG.sub(_escape, tags[tag])}" for tag in TAGS)
    return _MEASUREMENT.sub(_escape, name) + pairs + " "


def escaped_tag(name: str) -> str:
    """``name`` as the value of a tag in a line."""
    return _TAG.sub(_escape, encode_name(name))


def measurement(series: Series) -> str:
    """The measurement in which ``series`` lies."""
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
    """The series that the tags of a reply name."""
    return SeriesKey(*(decode_name(tags[t]) for t in ("gateway", "device", "metric")))


def _escape(match: re.Match[str]) -> str:
    return "\\" + match.group()


def lines(batch: SampleBatch, prefixes: Sequence[str]) -> list[str]:
    """A line for each sample; ``prefixes`` by the series' number."""
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
