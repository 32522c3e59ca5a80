"""Independent implementations feed our host and read our edge. What they do wrong is named, and taken."""

import subprocess
from pathlib import Path

import pytest

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
from telemetry.time.clock import utc_now_ms
from tests.conformance.edge_rules import check_edge
from tests.conformance.peers import NODE, PYTHON
from tests.conformance.spy import Spy
from tests.conformance.test_host import Cloud, cloud  # noqa: F401  # the fixture
from tests.servers import Mosquitto, wait_until

pytestmark = pytest.mark.mosquitto
SCRIPTS = Path(__file__).parent / "peer_scripts"
HOW = "is not installed (python -m tests.conformance.peers)"


def feed(service: Cloud, spy: Spy, command: list[str], gateway: str) -> set[str]:
    """Run a peer against our host; returns the rules that it breaks."""
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    series = f"{gateway}/meter/co2"

    def values() -> list[float]:
        answer = service.get(f"samples?series={series}&start=0&end={utc_now_ms() + 1000}")
        found = answer["value"]
        assert isinstance(found, list)
        return found

    wait_until(lambda: len(set(values())) >= 300, "all values are in the store")
    assert {1.0 + i for i in range(300)} <= set(values())
    spy.close()
    return check_edge(list(spy.packets)).broken_rules


@pytest.mark.skipif(not PYTHON.exists(), reason=f"pysparkplug {HOW}")
def test_pysparkplug_feeds_our_host(cloud: Cloud) -> None:  # noqa: F811
    spy = Spy(cloud.broker.port)
    script = str(SCRIPTS / "edge_pysparkplug.py")
    broken = feed(cloud, spy, [str(PYTHON), script, str(spy.port)], "py-node")
    # Will with QoS 0; NDEATH with the next session's number; no Rebirth; types in data.
    assert broken == {"E10", "E25", "E40", "P6"}


@pytest.mark.skipif(not NODE.exists(), reason=f"sparkplug-client {HOW}")
def test_sparkplug_client_of_npm_feeds_our_host(cloud: Cloud) -> None:  # noqa: F811
    spy = Spy(cloud.broker.port)
    script = str(SCRIPTS / "edge_npm.js")
    broken = feed(cloud, spy, ["node", script, str(spy.port), str(NODE.absolute())], "npm-node")
    # Will, commands and NDEATH with QoS 0, bdSeq as UInt64, metrics of births without their time,
    # types in data.
    assert broken == {"E10", "E11", "E13", "E24", "E40", "P5", "P6"}


@pytest.mark.skipif(not PYTHON.exists(), reason=f"pysparkplug {HOW}")
def test_pysparkplug_reads_our_edge(mosquitto: Mosquitto, tmp_path: Path) -> None:
    script, spy = str(SCRIPTS / "host_pysparkplug.py"), Spy(mosquitto.port)
    with subprocess.Popen(
        [str(PYTHON), script, str(spy.port), "100"], stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        wait_until(lambda: [p.kind for p in spy.packets].count("SUBACK") == 3, "it subscribed")
        outbox = Outbox(tmp_path / "outbox.db")
        node = NodeDescription(
            (DeviceDescription("d", (MetricDescription("co2", "co2", "[ppm]"),)),)
        )
        address = BrokerAddress(mosquitto.url)
        uplink = Uplink(UplinkSettings("g", "gw", (address,), None, "standard"), outbox, node)
        now = utc_now_ms()
        outbox.put([Report("d", (Sample("co2", now - 1000 + i, float(i)),)) for i in range(50)])
        uplink.start()
        uplink.device_online("d")
        wait_until(lambda: uplink.state.delivering, what="births")
        for i in range(50, 100):
            outbox.put([Report("d", (Sample("co2", now + i, float(i)),))])
        lines = reader.stdout.read().split("\n")
        uplink.stop()
        outbox.close()
    found = {tuple(line.split()) for line in lines if line.startswith("co2")}
    assert {("co2", str(now - 1000 + i), str(float(i))) for i in range(50)} <= found
    assert {("co2", str(now + i), str(float(i))) for i in range(50, 100)} <= found
