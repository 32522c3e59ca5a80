"""Our edge node on the wire, packet by packet, and in the situations that the specification names."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
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
from telemetry.quality import Flag
from telemetry.samples import Sample
from telemetry.sparkplug import DataType
from telemetry.time.clock import utc_now_ms
from tests.conformance.edge_rules import check_edge
from tests.conformance.fake_host import FakeHost
from tests.conformance.spy import Spy
from tests.servers import Mosquitto, require, wait_until

pytestmark = pytest.mark.mosquitto

METRICS = tuple(MetricDescription(f"m{i}", "laeq", "dB[A]", 1000, 0, 140) for i in range(4))
NODE = NodeDescription(
    (DeviceDescription("noise", METRICS, "p", "maker", "model", "rs485"),
     DeviceDescription("meter", METRICS[:2])),
    "tdm", "Thủ Dầu Một", 10.98, 106.65, "1.0", (MetricDescription("load", "status", "1"),),
)  # fmt: skip


@dataclass
class Bench:
    """A gateway's uplink behind a spy, and a host on the other side of the broker."""

    spy: Spy
    host: FakeHost
    outbox: Outbox
    uplink: Uplink
    broker: Mosquitto
    count: int = 0

    def measure(
        self, device: str | None = "noise", n: int = 4, flag: Flag = Flag.NOT_EVALUATED
    ) -> None:
        self.count += 1
        now = utc_now_ms()
        name = "m{}" if device else "load"
        samples = tuple(Sample(name.format(i), now, float(self.count), flag) for i in range(n))
        self.outbox.put([Report(device, samples)])

    def confirmed(self) -> bool:
        return self.outbox.status().depth_samples == 0

    def kinds(self) -> list[str]:
        return [
            p.topic.split("/")[2] for p in list(self.spy.packets) if p.up and p.kind == "PUBLISH"
        ]


def bench_for(
    broker: Mosquitto, folder: Path, *, host: str | None = "quantrac", confirm: str = "stored"
) -> Bench:
    spy = Spy(broker.port)
    outbox = Outbox(folder / "outbox.db")
    settings = UplinkSettings("g", "gw", (BrokerAddress(spy.url),), host, confirm)  # type: ignore[arg-type]
    return Bench(
        spy, FakeHost(broker.port, "g", "gw"), outbox, Uplink(settings, outbox, NODE), broker
    )


@pytest.fixture
def bench(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Bench]:
    made = bench_for(mosquitto, tmp_path)
    yield made
    made.uplink.stop()
    made.outbox.close()
    made.host.close()
    made.spy.close()


def test_every_requirement_holds_over_300_messages_and_two_sessions(bench: Bench) -> None:
    bench.measure()  # backlog from before the first session
    bench.host.say(True)
    bench.uplink.start()
    bench.uplink.device_online("noise")
    wait_until(lambda: bench.uplink.state.delivering, what="births")
    for i in range(300):
        bench.measure()
        if i == 20:
            bench.uplink.device_online("meter")
        if i > 20 and i % 10 == 0:
            bench.measure("meter", 2, Flag.SUSPECT)
            bench.measure(None, 1)
        if i == 100:
            bench.host.command("Node Control/Rebirth", DataType.BOOLEAN, True)
        if i == 150:
            bench.uplink.device_offline("meter")
            bench.uplink.set_diagnostics({"noise": {"polls": 5}})
        if i == 200:
            bench.spy.cut()
        if i == 280:
            wait_until(lambda: bench.uplink.state.delivering, what="the second session")
    wait_until(bench.confirmed, "everything is confirmed")
    bench.uplink.stop()
    wait_until(lambda: any(p.kind == "DISCONNECT" for p in bench.spy.packets), what="DISCONNECT")
    report = check_edge(list(bench.spy.packets), host="quantrac")
    assert report.broken == []
    assert set(report.held) == {
        "E1", "E5", "E6", "E7", "E8", "E9", "E10", "E11", "E12", "E13", "E14", "E15", "E17", "E18",
        "E19", "E20", "E21", "E22", "E23", "E24", "E25", "E26", "E27", "E28", "E29", "E30", "E31",
        "E32", "E33", "E34", "E35", "E36", "E37", "E38", "E40",
        "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9",
    }  # fmt: skip
    assert report.held["E32"] > 300
    assert bench.kinds().count("NBIRTH") >= 3
    assert {v for _, v in bench.host.values()} == {float(i + 1) for i in range(bench.count)}


def test_births_wait_for_exactly_our_host_and_never_for_an_older_word(bench: Bench) -> None:
    now = utc_now_ms()
    bench.host.say(True, now, "another")
    bench.host.say(False, now)
    bench.uplink.start()
    wait_until(lambda: bench.uplink.state.connected, what="connected")
    time.sleep(0.5)
    assert bench.kinds() == []
    bench.host.say(True, now + 10)
    wait_until(lambda: "NBIRTH" in bench.kinds(), what="births")
    bench.host.say(False, now + 5)  # a late word of an earlier session
    time.sleep(0.4)
    assert "NDEATH" not in bench.kinds()
    bench.host.say(False, now + 10)
    wait_until(lambda: "NDEATH" in bench.kinds(), what="NDEATH")
    wait_until(lambda: any(p.kind == "DISCONNECT" for p in bench.spy.packets), what="DISCONNECT")
    wait_until(lambda: bench.uplink.state.connected, what="connected again")
    bench.host.say(True, now + 9)  # older than what was said last
    time.sleep(0.5)
    assert bench.kinds().count("NBIRTH") == 1
    bench.host.say(True, now + 20)
    wait_until(lambda: bench.kinds().count("NBIRTH") == 2, what="births again")
    assert check_edge(list(bench.spy.packets), host="quantrac").broken == []


def test_it_walks_from_broker_to_broker_until_the_host_is_there(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    second = Mosquitto(require("mosquitto", "mosquitto"), folder)
    second.start()
    here, there = Spy(mosquitto.port), Spy(second.port)
    outbox = Outbox(tmp_path / "outbox.db")
    brokers = tuple(BrokerAddress(url) for url in ("mqtt://127.0.0.1:1", here.url, there.url))
    uplink = Uplink(UplinkSettings("g", "gw", brokers, "quantrac"), outbox, NODE)
    absent, present = FakeHost(mosquitto.port, "g", "gw"), FakeHost(second.port, "g", "gw")
    absent.say(False)
    present.say(True)
    uplink.start()
    wait_until(lambda: uplink.state.delivering, "births where the host is")
    assert uplink.state.broker == there.url
    assert not any("NBIRTH" in p.topic for p in here.packets)
    assert any(p.kind == "DISCONNECT" for p in here.packets)
    assert check_edge(list(there.packets), host="quantrac").broken == []
    uplink.stop()
    outbox.close()
    absent.close()
    present.close()
    second.stop()


def test_without_a_host_to_wait_for_births_come_at_once(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    bench = bench_for(mosquitto, tmp_path, host=None)
    bench.uplink.start()
    wait_until(lambda: "NBIRTH" in bench.kinds(), what="births")
    bench.uplink.stop()
    bench.outbox.close()
    bench.host.close()
    assert check_edge(list(bench.spy.packets)).broken == []


def test_plain_sparkplug_confirms_by_what_the_broker_has_taken(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    bench = bench_for(mosquitto, tmp_path, confirm="standard")
    bench.host.say(True)
    for _ in range(20):
        bench.measure()
    bench.uplink.start()
    bench.uplink.device_online("noise")
    wait_until(lambda: bench.uplink.state.delivering, what="births")
    for _ in range(20):
        bench.measure()
    wait_until(bench.confirmed, "confirmed by the broker's receipts")
    bench.uplink.stop()
    names = {m.name for p in bench.host.of("NBIRTH") + bench.host.of("DBIRTH") for m in p.metrics}
    assert not names & {"Store/Batch", "Store/Next", "Node Control/Ack Through"}
    assert not any(m.is_transient for p in bench.host.of("DDATA") for m in p.metrics)
    assert {v for _, v in bench.host.values()} == {float(i + 1) for i in range(40)}
    bench.outbox.close()
    bench.host.close()
    assert check_edge(list(bench.spy.packets), host="quantrac").broken == []


def test_a_lost_device_dies_and_its_backlog_still_comes(bench: Bench) -> None:
    bench.measure("meter", 2)
    bench.host.say(True)
    bench.uplink.start()
    bench.uplink.device_online("noise")
    wait_until(bench.confirmed, "the backlog of an absent device is confirmed")
    births = [p for t, p in bench.host.messages if t.endswith("DBIRTH/gw/meter")]
    assert births[0].metric("Properties/History Only") is not None
    wait_until(lambda: "DDEATH" in bench.kinds(), "it is dead again")
    report = check_edge(list(bench.spy.packets), host="quantrac")
    assert report.broken == []


def test_live_reports_of_one_commit_share_a_message_and_a_birth_tells_the_newest(
    bench: Bench,
) -> None:
    bench.host.say(True)
    bench.uplink.start()
    bench.uplink.device_online("noise")
    bench.uplink.device_online("meter")
    wait_until(lambda: bench.uplink.state.delivering, what="births")
    now = utc_now_ms()
    bench.outbox.put(
        [
            Report(device, (Sample("m0", now + i, float(i)),))
            for i in range(300)
            for device in ("noise", "meter")
        ]
    )
    wait_until(bench.confirmed, "everything is confirmed")
    data = bench.host.of("DDATA")
    assert len(data) == 2, "one message a device"
    for payload in data:
        found = [m for m in payload.metrics if not m.is_transient]
        assert [m.timestamp_ms for m in found] == [now + i for i in range(300)]
        assert not any(m.is_historical for m in found)
    bench.host.command("Node Control/Rebirth", DataType.BOOLEAN, True)
    wait_until(lambda: len(bench.host.of("DBIRTH")) == 4, what="births again")
    newest = bench.host.of("DBIRTH")[-1].metric("m0")
    assert newest is not None
    assert (newest.timestamp_ms, newest.value) == (now + 299, 299.0)
    report = check_edge(bench.spy.packets, host="quantrac")
    assert not report.broken


def test_a_changed_description_is_a_new_birth(bench: Bench) -> None:
    bench.host.say(True)
    bench.uplink.start()
    bench.uplink.device_online("noise")
    wait_until(lambda: bench.uplink.state.delivering, what="births")
    bench.measure()
    changed = NodeDescription(
        (DeviceDescription("noise", (*METRICS, MetricDescription("new", "co2", "[ppm]"))),)
    )
    bench.uplink.replace_births(changed)
    wait_until(lambda: bench.kinds().count("NBIRTH") == 2, what="a second birth")
    now = utc_now_ms()
    bench.outbox.put([Report("noise", (Sample("new", now, 400.0),))])
    wait_until(bench.confirmed, what="confirmed")
    births = bench.host.of("DBIRTH")
    assert births[-1].metric("new") is not None
    assert check_edge(list(bench.spy.packets), host="quantrac").broken == []


def test_an_unconfirmed_report_comes_again_with_its_own_time(bench: Bench) -> None:
    bench.host.confirms = False
    bench.host.say(True)
    bench.uplink.start()
    bench.uplink.device_online("noise")
    wait_until(lambda: bench.uplink.state.delivering, what="births")
    bench.measure()
    wait_until(lambda: bench.host.of("DDATA"), what="the first time")
    bench.host.confirms = True
    bench.spy.cut()
    wait_until(bench.confirmed, "confirmed in the next session")
    first, again = bench.host.of("DDATA")[0], bench.host.of("DDATA")[-1]
    assert [m.timestamp_ms for m in first.metrics] == [m.timestamp_ms for m in again.metrics]
    assert all(m.is_historical for m in again.metrics)
    assert not any(m.is_historical for m in first.metrics)


def test_a_defect_in_a_session_does_not_end_delivery(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck: list[bool] = []
    work = Uplink._work

    def once_spoilt(self: Uplink, link: object, session: object) -> object:
        if not struck:
            struck.append(True)
            raise RuntimeError("made up by the test")
        return work(self, link, session)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(Uplink, "_work", once_spoilt)
    bench.host.say(True)
    bench.uplink.start()
    bench.uplink.device_online("noise")
    wait_until(lambda: struck, "the defect struck")
    bench.measure()
    wait_until(bench.confirmed, "what came after the defect is confirmed")
