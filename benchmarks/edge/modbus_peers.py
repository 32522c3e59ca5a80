"""Other programs that carry Modbus registers to MQTT, installed in environments of their own.

Each environment is made below ``build/bench-peers`` when it is first needed and kept there.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.edge.edge_gateway import Usage, cpu_s, rss_mb

DEVICES, REGISTERS = 10, 20
_ENVIRONMENTS = Path("build/bench-peers")


def environment(name: str, *requirements: str) -> Path | None:
    """The folder of programs of a peer's environment; None where it cannot be installed."""
    folder = (_ENVIRONMENTS / name).resolve()
    done = folder / "ready"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=60)
            python = str(folder / "bin" / "python")
            install = [python, "-m", "pip", "install", "-q", *requirements]
            subprocess.run(install, check=True, timeout=240)
        except (OSError, subprocess.SubprocessError):
            return None
        done.touch()
    return folder / "bin"


class Listener:
    """Counts the samples that arrive at a broker; answers what ThingsBoard would."""

    def __init__(self, broker: int, count: Callable[[str, bytes], int]) -> None:
        self.samples = 0
        self._count = count
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", broker)
        self._client.subscribe("#")
        self._client.loop_start()

    def close(self) -> None:
        """Stop listening."""
        self._client.loop_stop()
        self._client.disconnect()

    def _on_message(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:  # noqa: ARG002
        if "/rpc/request/" in message.topic:
            limits = {"maxPayloadSize": 65536, "maxInflightMessages": 0, "rateLimits": {}}
            answer = {**limits, "gatewayRateLimits": {}}
            client.publish(message.topic.replace("request", "response"), json.dumps(answer))
            return
        self.samples += self._count(message.topic, bytes(message.payload))


def measure(
    command: list[str], folder: Path, broker: int, count: Callable[[str, bytes], int],
    *, warm_s: float, seconds: float, extra: dict[str, str] | None = None,
) -> Usage:  # fmt: skip
    """Run a peer for a while; its samples are those that arrive at the broker."""
    listener = Listener(broker, count)
    with (folder / "peer.log").open("wb") as log:
        peer = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **(extra or {})}
        )
    try:
        end_s = time.monotonic() + 20
        while not listener.samples and time.monotonic() < end_s and peer.poll() is None:
            time.sleep(0.05)
        time.sleep(warm_s)
        first, cpu, rss, began = (
            listener.samples,
            cpu_s(peer.pid),
            rss_mb(peer.pid),
            time.monotonic(),
        )
        time.sleep(seconds)
        samples, used = listener.samples - first, cpu_s(peer.pid) - cpu
        after = rss_mb(peer.pid)
        return Usage(samples, used, time.monotonic() - began, after, after - rss)
    finally:
        peer.kill()
        peer.wait()
        listener.close()


def modpoll(programs: Path, folder: Path, server: int, broker: int, seconds: float) -> Usage:
    """Modpoll at its shortest period."""
    rows = []
    for device in range(1, DEVICES + 1):
        rows.append(f"device,d{device},{device}")
        rows.append(f"poll,holding_register,0,{REGISTERS},BE_BE")
        rows += [f"ref,m{i},{i},uint16,r,,0.1" for i in range(REGISTERS)]
    (folder / "modpoll.csv").write_text("\n".join(rows) + "\n")
    command = [
        str(programs / "modpoll"), "-d", "--tcp", "127.0.0.1", "--tcp-port", str(server),
        "--config", "modpoll.csv", "--mqtt-host", "127.0.0.1", "--mqtt-port", str(broker),
        "--mqtt-version", "5.0", "--rate", "0.01", "--interval", "0", "--loglevel", "ERROR",
    ]  # fmt: skip

    def count(topic: str, payload: bytes) -> int:
        return len(json.loads(payload)) if topic.endswith("/data") else 0

    return measure(command, folder, broker, count, warm_s=2, seconds=seconds)


def thingsboard(
    programs: Path, folder: Path, server: int, broker: int, seconds: float, period_ms: int
) -> Usage:
    """The ThingsBoard gateway, at a period that it can keep."""
    settings = folder / "config"
    shutil.copytree(next(programs.parent.rglob("thingsboard_gateway/config")), settings)
    with contextlib.suppress(FileNotFoundError):
        (settings / "logs.json").rename(settings / "logs-usual.json")
    (settings / "logs.json").write_text(json.dumps(_quiet_logs()))
    general = json.loads((settings / "tb_gateway.json").read_text())
    general["thingsboard"].update(
        host="127.0.0.1", port=broker, remoteConfiguration=False, rateLimits="0:0,",
        statistics={"enable": False}, security={"type": "accessToken", "accessToken": "bench"},
    )  # fmt: skip
    for name in [n for n in general["thingsboard"] if n.endswith("ateLimits")]:
        general["thingsboard"][name] = "0:0,"
    connector = {"name": "bench", "type": "modbus", "configuration": "bench.json"}
    general["connectors"] = [connector]
    (settings / "tb_gateway.json").write_text(json.dumps(general))
    (settings / "bench.json").write_text(json.dumps(_slaves(server, period_ms)))

    def count(topic: str, payload: bytes) -> int:
        if topic != "v1/gateway/telemetry":
            return 0
        said = json.loads(payload)
        return sum(len(row["values"]) for rows in said.values() for row in rows)

    command = [str(programs / "thingsboard-gateway")]
    where = {"TB_GW_CONFIG_DIR": str(settings)}
    return measure(command, folder, broker, count, warm_s=3, seconds=seconds, extra=where)


def collectd(
    program: str, folder: Path, server: int, broker: int, seconds: float, period_s: float
) -> Usage:
    """Collectd with its modbus and mqtt plugins: one register a read, one sample a message."""
    data = "".join(
        f'<Data "m{i}">\n RegisterBase {i}\n RegisterType uint16\n RegisterCmd ReadHolding\n'
        f' Type gauge\n Instance "m{i}"\n</Data>\n'
        for i in range(REGISTERS)
    )
    collect = "".join(f' Collect "m{i}"\n' for i in range(REGISTERS))
    hosts = "".join(
        f'<Host "d{d}">\n Address "127.0.0.1"\n Port "{server}"\n Interval {period_s}\n'
        f" <Slave {d}>\n{collect} </Slave>\n</Host>\n"
        for d in range(1, DEVICES + 1)
    )
    (folder / "collectd.conf").write_text(
        f'Hostname "bench"\nInterval {period_s}\nBaseDir "{folder}"\nPIDFile "{folder}/pid"\n'
        'TypesDB "/usr/share/collectd/types.db"\nReadThreads 5\nWriteQueueLimitHigh 100000\n'
        "LoadPlugin modbus\nLoadPlugin mqtt\n"
        f"<Plugin modbus>\n{data}{hosts}</Plugin>\n"
        f'<Plugin mqtt>\n<Publish "bench">\n Host "127.0.0.1"\n Port {broker}\n QoS 0\n'
        "</Publish>\n</Plugin>\n"
    )
    command = [program, "-f", "-C", str(folder / "collectd.conf")]

    def count(topic: str, payload: bytes) -> int:  # noqa: ARG001  # as for the others; here a message is a sample
        return 1 if topic.startswith("collectd/") else 0

    return measure(command, folder, broker, count, warm_s=2, seconds=seconds)


def _slaves(server: int, period_ms: int) -> dict[str, Any]:
    tags = [
        {"tag": f"m{i}", "type": "16uint", "functionCode": 3, "objectsCount": 1, "address": i, "divider": 10}
        for i in range(REGISTERS)
    ]  # fmt: skip
    slave = {
        "host": "127.0.0.1", "port": server, "type": "tcp", "method": "socket", "timeout": 5,
        "byteOrder": "BIG", "wordOrder": "BIG", "retries": 3, "pollPeriod": period_ms,
        "connectAttemptTimeMs": 500, "connectAttemptCount": 5, "waitAfterFailedAttemptsMs": 1000,
        "attributes": [], "timeseries": tags, "attributeUpdates": [], "rpc": [],
    }  # fmt: skip
    units = range(1, DEVICES + 1)
    return {
        "name": "bench",
        "logLevel": "ERROR",
        "master": {"slaves": [{**slave, "unitId": u, "deviceName": f"d{u}"} for u in units]},
    }


def _quiet_logs() -> dict[str, Any]:
    handler = {"class": "logging.StreamHandler", "level": "ERROR"}
    return {
        "version": 1, "disable_existing_loggers": False, "handlers": {"consoleHandler": handler},
        "root": {"level": "ERROR", "handlers": ["consoleHandler"]}, "loggers": {},
    }  # fmt: skip
