"""Samples, indices, and the events of the stream."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from cloud_ingest.api.responses.alerts import AlertNews
from cloud_ingest.api.responses.declaration import example
from cloud_ingest.api.responses.inventory import Device, Gateway

AggregateName = Literal["mean", "min", "max", "count", "last"]


@example(
    series="bd-tdm-001/pm/pm2_5", gateway="bd-tdm-001", device="pm", metric="pm2_5", station="tdm",
    quantity="pm2_5", unit="ug/m3", time_ms=1795470465091, value=23.4, quality=1, online=True,
)  # fmt: skip
class Latest(TypedDict):
    """The latest sample of a series. ``quality``: QARTOD flag; ``value`` null: it had none."""

    series: str
    gateway: str
    device: str
    metric: str
    station: str
    quantity: str
    unit: str
    time_ms: int
    value: float | None
    quality: int
    online: bool


@example(
    series="bd-tdm-001/pm/pm2_5", quantity="pm2_5", unit="ug/m3", step_ms=3600000, aggregate="max",
    time_ms=[1795366800000], value=[41.2], quality=[1],
)  # fmt: skip
class Samples(TypedDict):
    """Samples of a series, or one value for each step that has samples; columns of equal length.

    ``min``, ``max`` and ``count`` are present with steps if an envelope was requested.
    """

    series: str
    quantity: str
    unit: str
    step_ms: int | None
    aggregate: AggregateName | None
    time_ms: list[int]
    value: list[float | None]
    min: NotRequired[list[float | None]]
    max: NotRequired[list[float | None]]
    count: NotRequired[list[int]]
    quality: list[int]


class IndexLevel(TypedDict):
    """A level of an index with its range, name and official colour."""

    id: str
    low: int
    high: int | None
    colour: str
    vi: str
    en: str


class SubIndex(TypedDict):
    """The index of one pollutant, and the mean from which it was computed."""

    pollutant: str
    averaging: str
    value: float
    unit: str
    index: int


class IndexInput(TypedDict):
    """The one-hour means used, oldest first; null for an hour with too little data."""

    series: str
    hour_means: list[float | None]


@example(
    station="tdm", kind="vn_aqi", period="hour", time_ms=1795467600000,
    method="VN_AQI, Decision 1459/QĐ-TCMT (12/11/2019)", value=None, level=None, dominant=None,
    sub_indices=[], reason="not_enough_data",
    inputs={"pm2_5": {"series": "bd-tdm-001/pm/pm2_5", "hour_means": [21.5, None]}},
    inputs_from_ms=1795428000000,
)  # fmt: skip
class Index(TypedDict):
    """An air-quality index of a station. If ``value`` is null, ``reason`` says why."""

    station: str
    kind: Literal["vn_aqi", "epa_aqi"]
    period: Literal["hour", "day"]
    time_ms: int
    method: str
    value: int | None
    level: IndexLevel | None
    dominant: str | None
    sub_indices: list[SubIndex]
    reason: str | None
    inputs: dict[str, IndexInput]
    inputs_from_ms: int


class StreamReady(TypedDict):
    """The first event of the stream."""

    time_ms: int


class StreamSamples(TypedDict):
    """The latest sample of each series; columns of equal length."""

    series: list[str]
    time_ms: list[int]
    value: list[float | None]
    quality: list[int]


class StreamSkipped(TypedDict):
    """The number of messages that were skipped because this client was too slow."""

    count: int


class StreamEvents(TypedDict, total=False):
    """The events of the stream by name, with their JSON data."""

    ready: StreamReady
    samples: StreamSamples
    alert: AlertNews
    gateway: Gateway
    device: Device
    skipped: StreamSkipped
