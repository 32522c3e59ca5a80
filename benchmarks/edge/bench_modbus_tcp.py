"""Samples a CPU-second from Modbus TCP register to MQTT message, beside other programs.

Ten simulated devices of 20 registers; every program polls as fast as it can be told to and still
keeps up (the ThingsBoard gateway collapses when polled faster than about ten times a second).
Ours goes through the outbox on disk; samples count when the broker has them. Ours and modpoll, the
closest, run twice in turn, because other work on the machine costs CPU too (caches, switches); the
better run of each counts.
"""

import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.edge.edge_gateway import Usage, devices_and_broker, measure_agent
from benchmarks.edge.modbus_peers import (
    DEVICES,
    REGISTERS,
    collectd,
    environment,
    modpoll,
    thingsboard,
)
from benchmarks.result import Result

SECONDS = 4.0
THINGSBOARD_PERIOD_MS = 100
COLLECTD_PERIOD_S = 0.01
MOST_GROWTH_MB = 5.0


def run() -> list[Result]:
    """Measure ours and those that can be installed."""
    first, peers, second = _ours(), _peers(), _ours()
    ours = min(first, second, key=_cost_s)
    results = [
        Result(
            name="modbus_tcp_overload_memory",
            what=f"memory growth while polled faster than it can go ({ours.samples / ours.seconds:.0f} samples/s)",
            value=max(first.rss_growth_mb, second.rss_growth_mb),
            unit="MB",
            reference="allowed",
            reference_value=MOST_GROWTH_MB,
            target=1.0,
            higher_is_better=False,
        )
    ]
    for name, target, theirs in peers:
        results.append(_compare(name, target, ours, theirs))
    return results


def _ours() -> Usage:
    return measure_agent(
        devices=DEVICES, metrics=REGISTERS, interval="1ms", seconds=SECONDS, warm_s=4.0
    )


def _cost_s(usage: Usage) -> float:
    return usage.cpu_s / max(usage.samples, 1)


def _peers() -> list[tuple[str, float, Usage]]:
    found = []
    with devices_and_broker() as (server, broker):
        with tempfile.TemporaryDirectory() as folder:
            programs = environment("modpoll", "modpoll==1.6.0")
            if programs is None:
                print("modpoll 1.6.0 cannot be installed here; not compared")
            else:
                usages = [modpoll(programs, Path(folder), server, broker, SECONDS) for _ in "ab"]
                found.append(("modpoll 1.6.0", 2.0, min(usages, key=_cost_s)))
        with tempfile.TemporaryDirectory() as folder:
            programs = environment("thingsboard", "thingsboard-gateway==3.8.5", "pymodbus==3.9.2",
                                   "pyserial", "pyserial-asyncio")  # fmt: skip
            if programs is None:
                print("thingsboard-gateway 3.8.5 cannot be installed here; not compared")
            else:
                usage = thingsboard(
                    programs, Path(folder), server, broker, SECONDS, THINGSBOARD_PERIOD_MS
                )
                found.append(("thingsboard-gateway 3.8.5", 10.0, usage))
        program = shutil.which("collectd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            print("collectd is not installed (Debian: collectd-core, libmodbus5); not compared")
        else:
            with tempfile.TemporaryDirectory() as folder:
                usage = collectd(program, Path(folder), server, broker, SECONDS, COLLECTD_PERIOD_S)
                found.append(("collectd", 2.0, usage))
    return [(name, target, usage) for name, target, usage in found if usage.samples]


def _compare(name: str, target: float, ours: Usage, theirs: Usage) -> Result:
    return Result(
        name="modbus_tcp_" + name.partition(" ")[0].replace("-", "_"),
        what="samples a CPU-second from register to MQTT message"
        f" (ours {ours.cpu_s / ours.samples * 1e6:.1f} us a sample,"
        f" theirs {theirs.cpu_s / theirs.samples * 1e6:.1f} us and {theirs.rss_mb:.0f} MB)",
        value=ours.samples / ours.cpu_s,
        unit="samples/CPU-s",
        reference=name,
        reference_value=theirs.samples / theirs.cpu_s,
        target=target,
    )


if __name__ == "__main__":
    for result in run():
        print(
            f"{result.name}: {result.what}: {result.ratio:.2f} (target {result.target}) ok={result.ok}"
        )
