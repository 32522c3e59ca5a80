"""A small Sparkplug gateway that sends the values of a test every few hundred milliseconds."""

import itertools
import threading
from collections.abc import Mapping
from typing import Any

import paho.mqtt.client as mqtt

from telemetry.sparkplug import DataType, Metric, Payload, PropertyValue, encode, names
from telemetry.time.clock import utc_now_ms

EVERY_S = 0.4
DEVICE = "sensor"


class Feed:
    """One gateway with one device; ``values`` may be changed while it runs."""

    def __init__(
        self,
        port: int,
        gateway: str,
        station: str,
        name: str,
        place: tuple[float, float],
        quantities: Mapping[str, tuple[str, str]],
    ) -> None:
        """``quantities``: metric -> (quantity, unit); a quantity of "" is left out, as foreign."""
        self.gateway = gateway
        self.values: dict[str, float] = dict.fromkeys(quantities, 20.0)
        self._about = (station, name, *place)
        self._quantities = quantities
        self._seq = itertools.count()
        self._stopped = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.will_set(
            self._topic("NDEATH"), encode(Payload(utc_now_ms(), (self._bdseq(),)))
        )
        self._client.reconnect_delay_set(1, 1)
        self._to_be_born = threading.Event()
        self._client.on_connect = self._greet
        self._client.on_message = lambda *_: self._to_be_born.set()  # asked for a rebirth
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(5)
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send any message, for tests of invalid ones."""
        self._client.publish(topic, payload).wait_for_publish(5)

    def _greet(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe(self._topic("NCMD"))
        self._to_be_born.set()

    def _topic(self, kind: str, device: str = "") -> str:
        return f"spBv1.0/test/{kind}/{self.gateway}" + (f"/{device}" if device else "")

    def _bdseq(self) -> Metric:
        return Metric(name=names.BDSEQ, datatype=DataType.INT64, value=0)

    def _send(self, kind: str, metrics: list[Metric], device: str = "") -> None:
        payload = Payload(utc_now_ms(), tuple(metrics), next(self._seq) % 256)
        self._client.publish(self._topic(kind, device), encode(payload))

    def _births(self) -> None:
        self._seq = itertools.count()
        station, name, latitude, longitude = self._about
        properties: list[tuple[str, DataType, Any]] = [
            (names.REBIRTH, DataType.BOOLEAN, False),
            (names.STATION_ID, DataType.STRING, station),
            (names.STATION_NAME, DataType.STRING, name),
            (names.LATITUDE, DataType.DOUBLE, latitude),
            (names.LONGITUDE, DataType.DOUBLE, longitude),
        ]
        node = [
            Metric(name=n, datatype=t, value=v, timestamp_ms=utc_now_ms()) for n, t, v in properties
        ]
        self._send("NBIRTH", [self._bdseq(), *node])
        metrics = [self._metric(m, self._properties(*q)) for m, q in self._quantities.items()]
        self._send("DBIRTH", metrics, DEVICE)

    def _properties(self, quantity: str, unit: str) -> dict[str, PropertyValue]:
        found = {names.INTERVAL: PropertyValue(DataType.INT64, int(EVERY_S * 1000))}
        if quantity:
            found[names.QUANTITY] = PropertyValue(DataType.STRING, quantity)
            found[names.ENG_UNIT] = PropertyValue(DataType.STRING, unit)
        return found

    def _metric(self, name: str, properties: dict[str, PropertyValue]) -> Metric:
        return Metric(
            name=name, datatype=DataType.DOUBLE, value=self.values[name], timestamp_ms=utc_now_ms(),
            properties=properties,
        )  # fmt: skip

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            if self._to_be_born.is_set():
                self._to_be_born.clear()
                self._births()
            elif self._client.is_connected():
                self._send("DDATA", [self._metric(m, {}) for m in self.values], DEVICE)
