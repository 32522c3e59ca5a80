"""Sparkplug payloads of a gateway: births, deaths and commands."""

from dataclasses import dataclass

from simulators.fleets.shape import GatewayShape, ShapeMetric
from telemetry.sparkplug import DataType, Metric, Payload, PropertyValue, decode, encode, names


@dataclass(frozen=True, slots=True)
class NodeProperties:
    """NodeProperties of a gateway in its birth."""

    station: str = ""
    station_name: str = ""
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class StoreState:
    """The state of the acknowledged delivery, for the birth."""

    acknowledged: bool
    ack_through: int
    oldest: int
    next_batch: int
    backlog: int
    oldest_time_ms: int | None
    measured: int
    evicted: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a host."""

    rebirth: bool = False
    ack_through: int | None = None


def node_death(bd_seq: int, time_ms: int) -> bytes:
    """NDEATH, also the will."""
    return encode(Payload(time_ms, (_metric(names.BDSEQ, DataType.INT64, bd_seq, time_ms),)))


def node_birth(bd_seq: int, time_ms: int, store: StoreState, about: NodeProperties) -> bytes:
    """NBIRTH, with sequence number 0."""
    metrics = [
        _metric(names.BDSEQ, DataType.INT64, bd_seq, time_ms),
        _metric(names.REBIRTH, DataType.BOOLEAN, False, time_ms),
    ]
    if store.acknowledged:
        metrics += [
            _metric(names.ACK_THROUGH, DataType.UINT64, store.ack_through, time_ms),
            _metric(names.STORE_OLDEST, DataType.UINT64, store.oldest, time_ms),
            _metric(names.STORE_NEXT, DataType.UINT64, store.next_batch, time_ms),
        ]
    metrics += _status(store, time_ms)
    texts = {
        names.STATION_ID: about.station, names.STATION_NAME: about.station_name,
        names.AGENT_VERSION: "simulated",
    }  # fmt: skip
    metrics += [_metric(n, DataType.STRING, text, time_ms) for n, text in texts.items() if text]
    for name, degrees in ((names.LATITUDE, about.latitude), (names.LONGITUDE, about.longitude)):
        if degrees is not None:
            metrics.append(_metric(name, DataType.DOUBLE, degrees, time_ms))
    return encode(Payload(time_ms, tuple(metrics), seq=0))


def node_status(time_ms: int, seq: int, store: StoreState) -> bytes:
    """NDATA with the state of the delivery."""
    return encode(Payload(time_ms, tuple(_status(store, time_ms)), seq=seq))


def _status(store: StoreState, time_ms: int) -> list[Metric]:
    return [
        _metric(names.STORE_BACKLOG, DataType.INT64, store.backlog, time_ms),
        _metric(names.STORE_OLDEST_TIME, DataType.INT64, store.oldest_time_ms, time_ms),
        _metric(names.STORE_MEASURED, DataType.UINT64, store.measured, time_ms),
        _metric(names.STORE_GIVEN_UP, DataType.UINT64, store.evicted, time_ms),
    ]


def device_birth(
    shape: GatewayShape, device: int, time_ms: int, seq: int, *, acknowledged: bool
) -> bytes:
    """DBIRTH of one device; values follow with its first data."""
    here = shape.devices[device]
    metrics: list[Metric] = []
    if acknowledged:
        alias = shape.batch_aliases[device]
        metrics.append(
            Metric(names.STORE_BATCH, alias, time_ms, DataType.UINT64, None, is_null=True)
        )
    texts = {
        names.PROFILE: here.profile, names.MANUFACTURER: here.manufacturer,
        names.MODEL: here.model, names.BUS: here.bus,
    }  # fmt: skip
    metrics += [_metric(n, DataType.STRING, text, time_ms) for n, text in texts.items() if text]
    for metric, alias in zip(here.metrics, shape.aliases[device], strict=True):
        properties = _properties(metric, here.interval_ms)
        metrics.append(
            Metric(
                metric.name,
                alias,
                time_ms,
                DataType.DOUBLE,
                None,
                is_null=True,
                properties=properties,
            )
        )
    return encode(Payload(time_ms, tuple(metrics), seq=seq))


def device_death(time_ms: int, seq: int) -> bytes:
    """DDEATH."""
    return encode(Payload(time_ms, (), seq=seq))


def read_command(data: bytes) -> Command:
    """Decode an NCMD; raises PayloadError."""
    rebirth, through = False, None
    for metric in decode(data).metrics:
        if metric.name == names.REBIRTH:
            rebirth = bool(metric.value)
        elif metric.name == names.ACK_THROUGH and isinstance(metric.value, int):
            through = metric.value
    return Command(rebirth, through)


def _metric(name: str, kind: DataType, value: object, time_ms: int) -> Metric:
    return Metric(name, None, time_ms, kind, value, is_null=value is None)


def _properties(metric: ShapeMetric, interval_ms: int) -> dict[str, PropertyValue]:
    properties = {
        names.ENG_UNIT: PropertyValue(DataType.STRING, metric.unit),
        names.QUANTITY: PropertyValue(DataType.STRING, metric.quantity),
        names.INTERVAL: PropertyValue(DataType.INT64, interval_ms),
    }
    if metric.low is not None and metric.high is not None:
        properties[names.LOW] = PropertyValue(DataType.DOUBLE, metric.low)
        properties[names.HIGH] = PropertyValue(DataType.DOUBLE, metric.high)
    return properties
