"""Our host application on the wire: the cloud service as a process, behind the spy."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.outbox import Outbox, Report
from edge_agent.uplink import (
    BrokerAddress,
    DeviceDescription,
    MetricDescription,
    NodeDescription,
    Uplink,
    UplinkSettings,
)
from telemetry.samples import Sample
from telemetry.sparkplug import DataType, Metric, Payload, decode, encode
from telemetry.time.clock import utc_now_ms
from tests.conformance.host_rules import check_host
from tests.conformance.spy import Packet, Spy
from tests.servers import Mosquitto, free_port, wait_until

pytestmark = pytest.mark.mosquitto

STATE = "spBv1.0/STATE/quantrac"


@dataclass
class Cloud:
    """The running service and what it says on the wire."""

    spy: Spy
    broker: Mosquitto
    process: subprocess.Popen[bytes]
    api: int
    client: mqtt.Client

    def sent(self, part: str) -> list[Packet]:
        return [
            p for p in list(self.spy.packets) if p.up and part in p.topic and p.kind == "PUBLISH"
        ]

    def get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.api}/api/v1/{path}", timeout=5
        ) as reply:
            return dict(json.load(reply))

    def inject(self, topic: str, payload: bytes, qos: int = 0) -> None:
        self.client.publish(topic, payload, qos)


@pytest.fixture
def cloud(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Cloud]:
    spy, api = Spy(mosquitto.port), free_port()
    (tmp_path / "cloud.yaml").write_text(
        f"broker: {{url: '{spy.url}'}}\nstore: {{kind: embedded, path: ./data}}\n"
        f"web: {{port: {api}}}\nintake: {{reorder_timeout_s: 0.5}}\n"
    )
    with (tmp_path / "cloud.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "quantrac", "cloud", "run", "--config",
             str(tmp_path / "cloud.yaml")], stdout=log, stderr=log,
        )  # fmt: skip
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    made = Cloud(spy, mosquitto, process, api, client)
    wait_until(lambda: made.sent(STATE), "the host says that it is online")
    yield made
    if process.poll() is None:
        process.terminate()
        process.wait(60)
    client.disconnect()
    client.loop_stop()
    spy.close()


def node_message(seq: int | None, *metrics: Metric) -> bytes:
    now = utc_now_ms()
    return encode(Payload(now, metrics, seq))


def births(bdseq: int = 0) -> tuple[bytes, bytes]:
    now = utc_now_ms()
    node = node_message(
        0, Metric("bdSeq", None, now, DataType.INT64, bdseq),
        Metric("Node Control/Rebirth", None, now, DataType.BOOLEAN, value=False),
    )  # fmt: skip
    device = node_message(1, Metric("co2", 1, now, DataType.DOUBLE, 400.0))
    return node, device


def test_every_requirement_holds_over_300_messages_from_connect_to_goodbye(
    cloud: Cloud, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    node = NodeDescription((DeviceDescription("d", (MetricDescription("m", "co2", "[ppm]"),)),))
    settings = UplinkSettings("g", "gw", (BrokerAddress(cloud.broker.url),), "quantrac")
    uplink = Uplink(settings, outbox, node)
    uplink.start()
    uplink.device_online("d")
    wait_until(lambda: uplink.state.delivering, "births")
    for i in range(300):
        outbox.put([Report("d", (Sample("m", utc_now_ms(), float(i)),))])
    wait_until(lambda: outbox.status().depth_samples == 0, "all is confirmed")
    cloud.spy.cut()
    wait_until(lambda: len(cloud.sent(STATE)) >= 2, "it is back")
    wait_until(lambda: uplink.state.delivering, "births again")
    outbox.put([Report("d", (Sample("m", utc_now_ms(), 1.0),))])
    wait_until(lambda: outbox.status().depth_samples == 0, "all is confirmed")
    uplink.stop()
    outbox.close()
    # A foreign node with a hole in its sequence numbers is asked for its births.
    born, device = births()
    cloud.inject("spBv1.0/g/NBIRTH/foreign", born)
    cloud.inject("spBv1.0/g/DBIRTH/foreign/d", device)
    cloud.inject("spBv1.0/g/DDATA/foreign/d", node_message(7, Metric(None, 1, 5, None, 401.0)))
    wait_until(lambda: cloud.sent("/NCMD/foreign"), "a rebirth is asked for")
    cloud.process.terminate()
    cloud.process.wait(60)
    report = check_host(list(cloud.spy.packets), "quantrac")
    assert report.broken == []
    assert set(report.held) == {
        "H1", "H2", "H3", "H4", "H5", "H6", "H7", "H9", "H15", "H16", "H17"
    }  # fmt: skip


def test_a_false_word_about_itself_is_put_right_with_the_same_timestamp(cloud: Cloud) -> None:
    first = json.loads(cloud.sent(STATE)[0].payload)
    cloud.inject(STATE, json.dumps({"online": False, "timestamp": first["timestamp"]}).encode(), 1)
    wait_until(lambda: len(cloud.sent(STATE)) == 2, "it is put right")
    assert json.loads(cloud.sent(STATE)[1].payload) == first


def test_a_hole_in_the_sequence_asks_for_births_and_a_filled_one_does_not(cloud: Cloud) -> None:
    node, device = births()
    cloud.inject("spBv1.0/g/NBIRTH/f", node)
    cloud.inject("spBv1.0/g/DBIRTH/f/d", device)
    now = utc_now_ms()

    def data(seq: int) -> None:
        metric = Metric(None, 1, now + seq, None, 400.0 + seq)
        cloud.inject("spBv1.0/g/DDATA/f/d", node_message(seq, metric))

    for seq in (2, 4, 3, 5):  # 3 comes late, but in time
        data(seq)
    time.sleep(1.0)
    assert cloud.sent("/NCMD/f") == []
    for seq in (6, 8):
        data(seq)
    wait_until(lambda: cloud.sent("/NCMD/f"), "births are asked for")
    command = decode(cloud.sent("/NCMD/f")[0].payload)
    assert command.metrics[0].name == "Node Control/Rebirth"


def test_only_the_death_of_the_present_session_counts(cloud: Cloud) -> None:
    node, device = births(bdseq=5)
    cloud.inject("spBv1.0/g/NBIRTH/n", node)
    cloud.inject("spBv1.0/g/DBIRTH/n/d", device)

    def online(kind: str) -> object:
        items = cloud.get(kind)["items"]
        assert isinstance(items, list)
        return next(
            (i["online"] for i in items if i["gateway" if kind == "devices" else "id"] == "n"), None
        )

    wait_until(lambda: online("gateways") is True, "the node is online")
    now = utc_now_ms()
    late = node_message(None, Metric("bdSeq", None, now, DataType.INT64, 4))
    cloud.inject("spBv1.0/g/NDEATH/n", late, 1)
    time.sleep(0.7)
    assert online("gateways") is True
    death = node_message(None, Metric("bdSeq", None, now, DataType.INT64, 5))
    cloud.inject("spBv1.0/g/NDEATH/n", death, 1)
    wait_until(lambda: online("gateways") is False, "the node is offline")
    assert online("devices") is False
