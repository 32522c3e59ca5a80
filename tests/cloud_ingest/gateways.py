"""A simulated gateway for tests: Sparkplug payloads as our edge, or a foreign one, sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.sparkplug.protobuf_messages import Payload

DOUBLE, STRING, UINT64, INT64, BOOLEAN = 10, 12, 8, 4, 11
NOW_MS = 1_795_000_000_000


def put(metric: Any, value: Any, datatype: int) -> None:
    metric.datatype = datatype
    if value is None:
        metric.is_null = True
    elif datatype == DOUBLE:
        metric.double_value = value
    elif datatype == STRING:
        metric.string_value = value
    elif datatype == BOOLEAN:
        metric.boolean_value = value
    else:
        metric.long_value = value & (2**64 - 1)


def add_property(metric: Any, key: str, value: Any, kind: int) -> None:
    metric.properties.keys.append(key)
    of = metric.properties.values.add(type=kind)
    if kind == STRING:
        of.string_value = value
    elif kind == DOUBLE:
        of.double_value = value
    elif kind == INT64:
        of.long_value = value
    else:
        of.int_value = value


@dataclass
class Gateway:
    """Builds messages in the order of a session; ``acknowledged`` numbers its reports."""

    name: str = "bd-tdm-001"
    group: str = "binh-duong"
    metrics: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "pm2_5": ("pm2_5", "ug/m3"),
            "temperature": ("air_temperature", "Cel"),
        }
    )
    acknowledged: bool = True
    station: str = "tdm"
    bdseq: int = 0
    seq: int = -1
    oldest: int = 1
    next_batch: int = 1
    time_ms: int = NOW_MS

    def topic(self, kind: str, device: str | None = None) -> str:
        base = f"spBv1.0/{self.group}/{kind}/{self.name}"
        return f"{base}/{device}" if device else base

    def alias(self, metric: str) -> int:
        return list(self.metrics).index(metric) + 1

    def _payload(self, *, restart: bool = False) -> Any:
        self.seq = 0 if restart else (self.seq + 1) % 256
        return Payload(timestamp=self.time_ms, seq=self.seq)

    def message(self, kind: str, payload: Any, device: str | None = None) -> MqttMessage:
        return MqttMessage(self.topic(kind, device), payload.SerializeToString(), self.time_ms)

    def node_birth(self, **extra: tuple[Any, int]) -> MqttMessage:
        p = self._payload(restart=True)
        wanted: dict[str, tuple[Any, int]] = {
            "bdSeq": (self.bdseq, INT64),
            "Node Control/Rebirth": (False, BOOLEAN),
            "Properties/Station": (self.station, STRING),
            "Properties/Station Name": ("Thủ Dầu Một", STRING),
            "Properties/Latitude": (10.98, DOUBLE),
            "Properties/Longitude": (106.652, DOUBLE),
            "Store/Measured": (0, UINT64),
        }
        if self.acknowledged:
            wanted |= {
                "Node Control/Ack Through": (0, UINT64),
                "Store/Oldest": (self.oldest, UINT64),
                "Store/Next": (self.next_batch, UINT64),
                "Store/Batch": (None, UINT64),
            }
        for name, (value, datatype) in {**wanted, **extra}.items():
            put(p.metrics.add(name=name, timestamp=self.time_ms), value, datatype)
        return self.message("NBIRTH", p)

    def device_birth(self, device: str = "air", *, bus: str = "rs485") -> MqttMessage:
        p = self._payload()
        for name, (quantity, unit) in self.metrics.items():
            m = p.metrics.add(name=name, alias=self.alias(name), timestamp=self.time_ms)
            put(m, None, DOUBLE)
            add_property(m, "Quantrac/Quantity", quantity, STRING)
            if unit:
                add_property(m, "engUnit", unit, STRING)
            add_property(m, "Quantrac/Interval", 1000, INT64)
            add_property(m, "low", 0.0, DOUBLE)
            add_property(m, "high", 1000.0, DOUBLE)
        put(p.metrics.add(name="Properties/Bus"), bus, STRING)
        put(p.metrics.add(name="Properties/Model"), "W1", STRING)
        if self.acknowledged:
            put(p.metrics.add(name="Store/Batch", alias=100), None, UINT64)
        return self.message("DBIRTH", p, device)

    def births(self) -> list[MqttMessage]:
        return [self.node_birth(), self.device_birth()]

    def data(
        self,
        *samples: tuple[str, int, float | None],
        device: str = "air",
        batch: int | None = None,
        flag: int | None = None,
    ) -> MqttMessage:
        p = self._payload()
        for name, time_ms, value in samples:
            m = p.metrics.add(alias=self.alias(name), timestamp=time_ms)
            if value is None:
                m.is_null = True
            else:
                m.double_value = value
            if flag is not None:
                add_property(m, "Quantrac/Flag", flag, 3)
        if self.acknowledged:
            number = self.next_batch if batch is None else batch
            self.next_batch = max(self.next_batch, number + 1)
            p.metrics.add(alias=100, timestamp=self.time_ms, is_transient=True, long_value=number)
        return self.message("DDATA", p, device)

    def node_data(self, **values: tuple[Any, int]) -> MqttMessage:
        p = self._payload()
        for name, (value, datatype) in values.items():
            put(p.metrics.add(name=name, timestamp=self.time_ms), value, datatype)
        return self.message("NDATA", p)

    def device_death(self, device: str = "air") -> MqttMessage:
        return self.message("DDEATH", self._payload(), device)

    def death(self) -> MqttMessage:
        p = Payload()
        put(p.metrics.add(name="bdSeq"), self.bdseq, INT64)
        return self.message("NDEATH", p)
