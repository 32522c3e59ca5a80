"""Devices that send by themselves, on real pseudo-terminals."""

import asyncio
from pathlib import Path

import pytest

from device_profiles import load_profile
from device_profiles.streams import encoder
from edge_agent.acquisition.lines.line import BusLost
from edge_agent.acquisition.stream_bus import Listener
from tests.edge_agent.acquisition.running_bus import (
    Running,
    clock,
    gateway,
    go,
    times_open,
)
from tests.edge_agent.acquisition.slaves import Pty


def test_a_stream_is_taken_as_it_comes_and_survives_garbage(tmp_path: Path) -> None:
    line = Pty()
    text = (
        f"- name: dust\n  serial: {{port: {line.port}}}\n"
        "  devices: [{name: pm, profile: plantower-pms5003}]\n"
    )
    (bus,) = gateway(tmp_path, text)
    encode = encoder(load_profile("plantower-pms5003")).encode

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: times_open(line.port) == 2)
            await asyncio.sleep(0.1)  # opening ends with throwing away what came before
            frames = [encode({"pm1": 1, "pm2_5": float(i), "pm10": 9}) for i in range(4)]
            line.send(frames[0][7:] + frames[1][:20])
            await asyncio.sleep(0.02)
            line.send(frames[1][20:] + b"BM garbage" + frames[2] + frames[3])
            await r.until(lambda: len(r.heard.values("pm", "pm2_5")) >= 3)
            assert r.heard.values("pm", "pm2_5") == [1.0, 2.0, 3.0]
            times = [s.time_ms for s in r.heard.samples["pm"] if s.metric == "pm2_5"]
            assert times == sorted(set(times)), "two samples never share a time"
            await r.until(lambda: r.counters["pm"]["answers"] == 3)
            assert r.counters["pm"]["resyncs"] >= 1
            assert r.heard.state == {"pm": True}

    go(story())
    line.close()


def test_a_stream_that_is_lost_gives_its_last_samples_and_then_the_reason(tmp_path: Path) -> None:
    text = (
        "- name: dust\n  serial: {port: /dev/null}\n"
        "  devices: [{name: pm, profile: plantower-pms5003}]\n"
    )
    (bus,) = gateway(tmp_path, text)
    frame = encoder(load_profile("plantower-pms5003")).encode({"pm1": 1, "pm2_5": 2.0, "pm10": 9})

    async def story() -> None:
        listener = Listener(bus.devices[0], clock)
        listener.on_data(frame + frame[:2])
        listener.on_lost("unplugged")
        assert {s.metric for s in await listener.next(3600)} >= {"pm1", "pm2_5", "pm10"}
        with pytest.raises(BusLost, match="unplugged"):
            async with asyncio.timeout(60):
                await listener.next(3600)

    go(story())


def test_a_radar_counts_as_there_while_nothing_passes(tmp_path: Path) -> None:
    line = Pty()
    text = (
        f"- name: radar\n  serial: {{port: {line.port}}}\n"
        "  devices: [{name: r, profile: omnipresense-ops243-a}]\n"
    )
    (bus,) = gateway(tmp_path, text)

    async def story() -> None:
        async with Running(bus)() as r:
            await r.until(lambda: r.heard.state == {"r": True})
            line.send(b'{"speed":"42.50"}\r\n')
            await r.until(lambda: r.heard.values("r", "speed") == [42.5])

    go(story())
    line.close()
