"""A fleet on a real broker, judged by a host that was written for this test."""

import asyncio
import json
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.fleets.fleet import Fleet
from simulators.fleets.template import SEQUENCE, DataTemplate
from simulators.scenarios.model import Scenario
from simulators.truth import TruthFile, read_truth
from telemetry.sparkplug import DataType, Metric, Payload, decode, encode, names
from telemetry.sparkplug.topics import parse_topic
from telemetry.time.clock import utc_now_ms
from tests.servers import wait_until

NOW_MS = 1_795_459_200_123


class Host:
    """A Sparkplug host that confirms what it got, and checks that the rules are kept."""

    def __init__(self, port: int, *, confirms: bool = True) -> None:
        self.samples: dict[tuple[str, int], float] = {}
        self.deaths: list[tuple[str, int]] = []
        self.births: dict[str, int] = defaultdict(int)
        self.gaps = 0
        self.device_deaths: list[str] = []
        self.wrong: list[str] = []
        self.confirms = confirms
        self._seq: dict[str, int] = {}
        self._bd: dict[str, int] = {}
        self._alias: dict[str, dict[int, str]] = defaultdict(dict)
        self._through: dict[str, int] = {}
        self._beyond: dict[str, set[int]] = defaultdict(set)
        self._since = utc_now_ms()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="host")
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("spBv1.0/#", 1)
        self.client.loop_start()
        self.state(online=True)

    def state(self, *, online: bool) -> None:
        state = json.dumps({"online": online, "timestamp": self._since})
        self.client.publish("spBv1.0/STATE/quantrac", state, 1, retain=True)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic.startswith("spBv1.0/STATE"):
            return
        topic = parse_topic(message.topic)
        if topic.type in ("NCMD", "DCMD"):
            return
        payload = decode(message.payload)
        node = topic.gateway
        if topic.type == "NDEATH":
            self.deaths.append((node, payload.metric(names.BDSEQ).value))
            if payload.seq is not None:
                self.wrong.append("an NDEATH has a seq")
            return
        if topic.type == "NBIRTH":
            self._node_born(node, payload)
            return
        if node not in self._seq:
            self.wrong.append(f"{topic.type} before NBIRTH")
            return
        if payload.seq != (self._seq[node] + 1) % 256:
            self.gaps += 1
        self._seq[node] = payload.seq
        if topic.type == "DBIRTH":
            for metric in payload.metrics:
                if metric.alias is not None:
                    self._alias[node][metric.alias] = f"{node}/{topic.device}/{metric.name}"
        elif topic.type == "DDEATH":
            self.device_deaths.append(f"{node}/{topic.device}")
        elif topic.type == "DDATA":
            self._data(node, payload)
        self._confirm(topic.group, node)

    def _node_born(self, node: str, payload: Payload) -> None:
        self.births[node] += 1
        if payload.seq != 0:
            self.wrong.append("an NBIRTH has a seq other than 0")
        if payload.metric(names.REBIRTH) is None:
            self.wrong.append("an NBIRTH lacks Rebirth")
        self._seq[node] = 0
        self._bd[node] = payload.metric(names.BDSEQ).value
        oldest = payload.metric(names.STORE_OLDEST)
        if oldest is not None:
            self._through.setdefault(node, oldest.value - 1)

    def _data(self, node: str, payload: Payload) -> None:
        for metric in payload.metrics:
            name = self._alias[node].get(metric.alias)
            if name is None:
                self.wrong.append(f"unknown alias {metric.alias} of {node}")
            elif name.endswith(names.STORE_BATCH):
                self._beyond[node].add(metric.value)
            else:
                self.samples[name, metric.timestamp_ms] = metric.value

    def _confirm(self, group: str, node: str) -> None:
        if not self.confirms or node not in self._through:
            return
        before = through = self._through[node]
        while through + 1 in self._beyond[node]:
            through += 1
            self._beyond[node].discard(through)
        self._through[node] = through
        if through > before or self._beyond[node]:
            acknowledgement = Metric(names.ACK_THROUGH, None, NOW_MS, DataType.UINT64, through)
            command = encode(Payload(utc_now_ms(), (acknowledgement,)))
            self.client.publish(f"spBv1.0/{group}/NCMD/{node}", command)


def scenario(**fleet: Any) -> Scenario:
    return Scenario.model_validate(
        {"scenario": "t", "title": "t", "group": "g", "fleet": fleet, "seed": 4,
         "faults": fleet.pop("faults", [])}
    )  # fmt: skip


def run(made: Scenario, broker: str, seconds: float, truth: Path | None = None) -> Fleet:
    async def go() -> Fleet:
        file = TruthFile(truth) if truth else None
        fleet = Fleet(made, made.fleet, broker, truth=file)
        stopped = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, stopped.set)
        await fleet.run(stopped, drain_s=8)
        if file:
            file.close()
        return fleet

    return asyncio.run(go())


@given(
    st.integers(1, 5), st.integers(1, 30), st.integers(1, 3), st.booleans(),
    st.integers(2**35, 2**42 - 1), st.integers(0, 255),
)  # fmt: skip
def test_filled_templates_say_what_the_codec_would(
    gateways: int, metrics: int, steps: int, historical: bool, moment: int, seq: int
) -> None:
    template = DataTemplate(range(1, metrics + 1), metrics + 1, steps=steps, historical=historical)
    values = np.arange(gateways * steps * metrics, dtype=float).reshape(gateways, steps, metrics)
    times = moment - np.arange(gateways * steps).reshape(gateways, steps)
    sent = np.full(gateways, moment)
    out = template.fill(sent, times, values * 1.5, sent - np.arange(gateways))
    for g in range(gateways):
        data = out[g * template.size : (g + 1) * template.size] + SEQUENCE[seq]
        wanted = [
            Metric(None, m + 1, int(times[g, s]), DataType.DOUBLE, float(values[g, s, m]) * 1.5,
                   is_historical=historical)
            for s in range(steps)
            for m in range(metrics)
        ]  # fmt: skip
        payload = decode(data)
        assert payload.seq == seq
        assert payload.timestamp_ms == moment
        *samples, batch = payload.metrics
        assert [(m.alias, m.timestamp_ms, m.value, m.is_historical) for m in samples] == [
            (m.alias, m.timestamp_ms, m.value, m.is_historical) for m in wanted
        ]
        assert (batch.alias, batch.value, batch.is_transient) == (metrics + 1, moment - g, True)


@pytest.mark.mosquitto
def test_all_that_was_measured_arrives_through_losses_and_storms(
    mosquitto: Any, tmp_path: Path
) -> None:
    host = Host(mosquitto.port)
    made = scenario(
        gateways=30, metrics=6, metrics_per_device=4, interval="250ms", ramp_up="500ms",
        drop_probability=0.1,
        storms=[{"at": "2s", "share": 0.7, "down": "300ms", "return_within": "500ms"}],
        faults=[
            {"kind": "power_cut", "gateway": "fleet-00003", "at": "1s", "lasts": "1s"},
            {"kind": "no_answer", "device": "fleet-00004/d2", "at": "3s", "lasts": "1s"},
            {"kind": "clock_wrong", "gateway": "fleet-00005", "value": 60},
        ],
    )  # fmt: skip
    fleet = run(made, mosquitto.url, 5.0, tmp_path / "truth.csv")
    wait_until(lambda: len(host.deaths) >= 30 + int(0.4 * 30), "all wills and goodbyes")
    host.close()
    truth = {(s.series, s.time_ms): s.value for s in read_truth(tmp_path / "truth.csv")}
    assert len(truth) == fleet.counts.measured > 30 * 6 * 10
    assert host.samples == truth
    assert fleet.counts.confirmed == fleet.counts.measured
    assert not host.wrong
    assert host.gaps > 0  # the messages that were lost on purpose
    assert fleet.counts.lost_on_purpose > 0
    assert all(host.births[n.gateway] >= 1 for n in fleet.nodes)
    assert host.births["fleet-00003"] >= 2
    # a device that is dead sends nothing, the gateway's other one goes on
    ages = {d: sum(s.startswith(f"fleet-00004/{d}/") for s, _ in truth) for d in ("d1", "d2")}
    assert host.device_deaths == ["fleet-00004/d2"]
    assert 0 < ages["d2"] / 2 < ages["d1"] / 4
    ahead = [t for s, t in truth if s.startswith("fleet-00005/")]
    assert min(ahead) > max(t for s, t in truth if s.startswith("fleet-00001/"))


@pytest.mark.mosquitto
def test_nobody_is_born_before_the_host_is_there_and_rebirths_are_obeyed(mosquitto: Any) -> None:
    made = scenario(gateways=5, metrics=3, interval="200ms", ramp_up="0ms", acknowledged=False)
    hosts: list[Host] = []

    def appear() -> None:
        host = Host(mosquitto.port, confirms=False)
        hosts.append(host)
        wait_until(lambda: len(host.births) == 5, "all gateways are born")
        rebirth = Metric(names.REBIRTH, None, NOW_MS, DataType.BOOLEAN, True)
        host.client.publish("spBv1.0/g/NCMD/fleet-00002", encode(Payload(NOW_MS, (rebirth,))))

    timer = threading.Timer(0.7, appear)
    timer.start()
    fleet = run(made, mosquitto.url, 8.0)
    timer.join()
    host = hosts[0]
    host.close()
    assert not host.wrong
    assert host.gaps == 0
    assert host.births == {n.gateway: 1 + (n.gateway == "fleet-00002") for n in fleet.nodes}
    assert fleet.counts.rebirths == 1
    assert len(host.samples) == fleet.counts.measured
    # what was measured before the host came was sent too
    assert min(t for _, t in host.samples) < host._since


@pytest.mark.mosquitto
def test_gateways_leave_when_the_host_does_and_come_back_with_it(mosquitto: Any) -> None:
    host = Host(mosquitto.port)

    def vanish() -> None:
        host.state(online=False)
        wait_until(lambda: len(host.deaths) >= 4, "everybody has said goodbye")
        host.state(online=True)

    timer = threading.Timer(1.0, vanish)
    timer.start()
    made = scenario(gateways=4, metrics=2, interval="200ms", ramp_up="0ms")
    fleet = run(made, mosquitto.url, 10.0)
    timer.join()
    wait_until(lambda: len(host.deaths) >= 8, "everybody has said goodbye twice")
    host.close()
    assert not host.wrong
    assert {host.births[n.gateway] for n in fleet.nodes} == {2}
    assert len(host.samples) == fleet.counts.measured == fleet.counts.confirmed
    assert {bd for node, bd in host.deaths if node == "fleet-00001"} == {0, 1}


@pytest.mark.mosquitto
def test_gateways_join_one_after_the_other(mosquitto: Any) -> None:
    host = Host(mosquitto.port)
    made = scenario(
        gateways=2, metrics=2, interval="200ms", ramp_up="0ms", joins_per_minute=120
    ).model_copy(update={"duration": 1500})
    fleet = run(made, mosquitto.url, 2.5)
    wait_until(lambda: len(host.samples) == fleet.counts.measured, "everything arrives")
    host.close()
    assert fleet.capacity == 5
    assert len(host.births) == 5
    first = {
        n.gateway: min(t for s, t in host.samples if s.startswith(n.gateway)) for n in fleet.nodes
    }
    joined = [first[n.gateway] for n in fleet.nodes[2:]]
    assert joined == sorted(joined)
    assert joined[-1] - first["fleet-00001"] > 1000
