"""The running service with a real broker: host application, API, stream."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest

from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from cloud_ingest.service import Service
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.gateways import Gateway
from tests.servers import Mosquitto, free_port, wait_until

STATE = "spBv1.0/STATE/quantrac"


class Peer:
    """A client at the broker that remembers what it hears and can send."""

    def __init__(self, port: int, *topics: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _c, _d, m: self.heard.append((m.topic, m.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        for topic in topics:
            self._client.subscribe(topic, 1)

    def send(self, *messages: MqttMessage) -> None:
        for message in messages:
            self._client.publish(message.topic, message.payload).wait_for_publish(5)

    def say(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, 1, retain=True).wait_for_publish(5)

    def states(self) -> list[dict[str, Any]]:
        return [json.loads(p) for t, p in self.heard if t == STATE]

    def acknowledged(self) -> int:
        found = [
            m.long_value
            for topic, payload in self.heard
            if "/NCMD/" in topic
            for m in Payload.FromString(payload).metrics
            if m.name == "Node Control/Ack Through"
        ]
        return max(found, default=-1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def configured(folder: Path, **broker: Any) -> CloudConfiguration:
    return in_folder(
        CloudConfiguration.model_validate(
            {
                "broker": broker,
                "store": {"kind": "embedded", "path": "data"},
                "web": {"port": 0},
                "rules": [],
            }
        ),
        folder,
    )


@pytest.fixture
def service(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Service]:
    made = Service(configured(tmp_path, url=mosquitto.url))
    made.start()
    wait_until(lambda: made.link.state.connected, what="the service is connected")
    yield made
    made.stop()


@pytest.fixture
def peer(mosquitto: Mosquitto) -> Iterator[Peer]:
    made = Peer(mosquitto.port, STATE, "spBv1.0/+/NCMD/#")
    yield made
    made.close()


def now_gateway(**changes: Any) -> Gateway:
    return Gateway(time_ms=utc_now_ms(), **changes)


def get(service: Service, path: str) -> Any:
    answer = httpx.get(f"{service.address}/api/v1/{path}", timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.mosquitto
def test_a_sample_goes_from_the_broker_to_the_api_and_is_acknowledged(
    service: Service, peer: Peer
) -> None:
    gateway = now_gateway()
    peer.send(*gateway.births(), gateway.data(("pm2_5", gateway.time_ms, 12.5)))
    wait_until(lambda: peer.acknowledged() == 1, what="the report is acknowledged")
    latest = get(service, "latest?station=tdm&quantity=pm2_5")["items"]
    assert [(s["series"], s["value"], s["online"]) for s in latest] == [
        ("bd-tdm-001/air/pm2_5", 12.5, True)
    ]
    assert get(service, "gateways?exact=true")["items"][0]["samples_stored"] == 1
    assert get(service, "health")["status"] == "ok"


@pytest.mark.mosquitto
def test_the_host_says_that_it_is_online_and_defends_it(service: Service, peer: Peer) -> None:
    wait_until(peer.states, what="the retained state")
    said = peer.states()[-1]
    assert said["online"] is True
    assert set(said) == {"online", "timestamp"}
    peer.say(STATE, json.dumps({"online": False, "timestamp": said["timestamp"]}).encode())
    wait_until(lambda: len(peer.states()) >= 3, what="the host answers")
    assert peer.states()[-1] == said


@pytest.mark.mosquitto
def test_the_host_says_offline_before_it_goes(
    mosquitto: Mosquitto, tmp_path: Path, peer: Peer
) -> None:
    service = Service(configured(tmp_path, url=mosquitto.url))
    service.start()
    wait_until(lambda: peer.states() and peer.states()[-1]["online"], what="online")
    service.stop()
    wait_until(lambda: peer.states()[-1]["online"] is False, what="offline")


@pytest.mark.mosquitto
def test_a_gateway_that_dies_is_offline(service: Service, peer: Peer) -> None:
    gateway = now_gateway()
    peer.send(*gateway.births())
    wait_until(lambda: get(service, "gateways")["items"], what="the gateway is known")
    peer.send(gateway.death())
    wait_until(lambda: not get(service, "gateways/bd-tdm-001")["online"], what="offline")
    wanted = ["offline", "device_offline", "device_online", "online"]
    wait_until(lambda: [e["kind"] for e in get(service, "events")["items"]] == wanted)


@pytest.mark.mosquitto
def test_the_broker_may_be_restarted(
    service: Service, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    mosquitto.kill()
    wait_until(lambda: not service.link.state.connected, what="the loss is seen")
    answer = httpx.get(f"{service.address}/api/v1/health", timeout=10)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "broker" in answer.json()["detail"]
    mosquitto.start()
    wait_until(lambda: service.link.state.connected, what="the service is back")
    peer = Peer(mosquitto.port, "spBv1.0/+/NCMD/#")
    gateway = now_gateway()
    peer.send(*gateway.births(), gateway.data(("pm2_5", gateway.time_ms, 1.0)))
    wait_until(lambda: peer.acknowledged() == 1, what="reports are taken in again")
    peer.close()


@pytest.mark.mosquitto
def test_the_stream_tells_of_samples_and_gateways_as_they_come(
    service: Service, peer: Peer
) -> None:
    heard: list[tuple[str, Any]] = []
    ready = threading.Event()

    def listen() -> None:
        url = f"{service.address}/api/v1/stream?quantity=pm2_5"
        with httpx.stream("GET", url, timeout=10) as stream:
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    heard.append((name, json.loads(line.removeprefix("data: "))))
                    ready.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert ready.wait(60)
    gateway = now_gateway()
    t = gateway.time_ms
    peer.send(*gateway.births(), gateway.data(("pm2_5", t, 7.0), ("temperature", t, 30.0)))
    wait_until(lambda: any(name == "samples" for name, _ in heard), what="samples arrive")
    samples = next(data for name, data in heard if name == "samples")
    assert samples["series"] == ["bd-tdm-001/air/pm2_5"]
    assert samples["value"] == [7.0]
    wait_until(lambda: any(name == "gateway" for name, _ in heard), what="the gateway is told")
    service.live.close()
    thread.join(5)
    assert not thread.is_alive()


def test_the_embedded_broker_serves_gateways_too(tmp_path: Path) -> None:
    port = free_port()
    service = Service(configured(tmp_path, embedded={"port": port}))
    service.start()
    try:
        wait_until(lambda: service.link.state.connected, what="the service is connected")
        peer = Peer(port, "spBv1.0/+/NCMD/#")
        gateway = now_gateway()
        peer.send(*gateway.births(), gateway.data(("pm2_5", gateway.time_ms, 1.0)))
        wait_until(lambda: peer.acknowledged() == 1, what="the report is acknowledged")
        peer.close()
    finally:
        service.stop()


def test_a_defect_in_the_pipeline_thread_ends_it_and_health_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(configured(tmp_path, embedded={"port": free_port()}))

    def broken(_now_ms: int) -> None:
        raise RuntimeError("injected defect")

    monkeypatch.setattr(service.receiver, "tick", broken)
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    service.start()
    try:
        wait_until(lambda: not service.pipeline.running, what="the thread has ended")
        assert service.failed == "RuntimeError: injected defect"
        answer = httpx.get(f"{service.address}/api/v1/health", timeout=10)
        assert answer.status_code == 503
        assert "injected defect" in answer.json()["detail"]
    finally:
        service.stop()


DEFECTIVE = """
import sys
from cloud_ingest.intake.receiver import Receiver

def broken(self, now_ms):
    raise RuntimeError("injected defect")

Receiver.tick = broken
sys.argv = ["quantrac", "cloud", "run", "--config", sys.argv[1]]
from quantrac.cli import main
main()
"""


def test_a_defect_in_the_pipeline_thread_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "cloud.yaml"
    file.write_text(
        f"broker: {{embedded: {{port: {free_port()}}}}}\nweb: {{port: {free_port()}}}\n"
        "store: {kind: embedded, path: data}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", DEFECTIVE, str(file)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert "the pipeline failed: RuntimeError: injected defect" in ended.stderr
    assert "pipeline_failed" in ended.stderr
