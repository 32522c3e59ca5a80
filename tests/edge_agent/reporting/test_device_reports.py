"""Reports of devices that come and go while the outbox is slow."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from edge_agent.devices import Device
from edge_agent.reporting import device_reports
from edge_agent.reporting.device_reports import DeviceReports
from telemetry.samples import Sample
from tests.edge_agent.reporting.test_reporting import WIND, device


class SlowOutbox:
    """Stands for the way to an outbox that does not keep up: every ``put`` waits until released."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.entries: dict[str, str] = {}
        self.busy = asyncio.Event()
        self.released = asyncio.Event()

    async def put(
        self, name: str, samples: Sequence[Sample], entries: Mapping[str, str] | None = None
    ) -> None:
        self.taken.append(name)
        self.entries.update(entries or {})
        self.busy.set()
        await self.released.wait()


class Clock:
    now_ms = 1_790_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def two_devices() -> tuple[Device, Device]:
    one = device(WIND, aggregate={"every": "1s"})
    return replace(one, name="first"), replace(one, name="second")


async def with_two_devices(
    monkeypatch: pytest.MonkeyPatch,
    during: Callable[[DeviceReports, SlowOutbox, Device], None],
    waiting: Callable[[DeviceReports], Awaitable[None]],
) -> list[str]:
    """Let ``waiting`` hang in a slow commit, change the devices meanwhile, and let it go on."""
    monkeypatch.setattr(device_reports, "_TICK_S", 0.0)
    outbox, clock = SlowOutbox(), Clock()
    reports = DeviceReports(outbox, {}, lambda *_: None, clock, dict)  # type: ignore[arg-type]
    first, second = two_devices()
    for known in (first, second):
        reports.add(known)
        await reports.take(known.name, [Sample("speed", clock.now_ms, 3.0)])
    clock.now_ms += 5_000
    task = asyncio.ensure_future(waiting(reports))
    await outbox.busy.wait()
    during(reports, outbox, second)
    outbox.released.set()
    for _ in range(50):
        await asyncio.sleep(0)
    if not task.done():
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        task.result()
    return outbox.taken


WAITING = {"closing windows": DeviceReports.run, "keeping windows": DeviceReports.keep_windows}


@pytest.mark.parametrize("waiting", WAITING.values(), ids=WAITING)
def test_a_device_may_be_removed_while_windows_wait_for_the_outbox(
    monkeypatch: pytest.MonkeyPatch, waiting: Callable[[DeviceReports], Awaitable[None]]
) -> None:
    def remove(reports: DeviceReports, outbox: SlowOutbox, second: Device) -> None:
        reports.remove(second.name)

    taken = asyncio.run(with_two_devices(monkeypatch, remove, waiting))
    assert set(taken) == {"first"}


def test_a_device_that_is_described_anew_meanwhile_reports_its_window_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def replaced(reports: DeviceReports, outbox: SlowOutbox, second: Device) -> None:
        reports.add(second)

    taken = asyncio.run(with_two_devices(monkeypatch, replaced, DeviceReports.run))
    assert taken.count("second") == 1
