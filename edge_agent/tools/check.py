"""``edge check``: reads every device once and judges the answers."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from edge_agent.acquisition.bus_connection import open_line
from edge_agent.acquisition.bus_counters import DeviceCounters
from edge_agent.acquisition.lines.line import BusError
from edge_agent.acquisition.modbus.outcomes import LineEvent
from edge_agent.acquisition.modbus.poller import Poller, TurnResult
from edge_agent.acquisition.modbus_bus import make_client
from edge_agent.acquisition.stream_bus import Listener
from edge_agent.devices import Bus, Device
from telemetry.samples import Sample
from telemetry.time.clock import utc_now_ms

STREAM_WAIT_S = 10.0
STREAM_SETTLE_S = 1.5
TRIES = 3


class Verdict(Enum):
    """The verdict on a device."""

    GOOD = "ok"
    DOUBTFUL = "doubtful"
    FAILED = "failed"


@dataclass(slots=True)
class DeviceCheck:
    """The answers of one device. ``seconds`` is the duration of its turn."""

    device: Device
    samples: Sequence[Sample] = ()
    verdict: Verdict = Verdict.GOOD
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0
    reads: int = 0

    def fail(self, remark: str, verdict: Verdict = Verdict.FAILED) -> None:
        """Worsen the verdict, with a remark."""
        self.remarks.append(remark)
        if self.verdict is not Verdict.FAILED:
            self.verdict = verdict


async def check_buses(buses: Sequence[Bus]) -> list[DeviceCheck]:
    """Read every device of every bus; buses are read concurrently."""
    done = await asyncio.gather(*(_check_bus(bus) for bus in buses))
    return [check for checks in done for check in checks]


async def _check_bus(bus: Bus) -> list[DeviceCheck]:
    try:
        if bus.is_stream:
            return [await _check_stream(bus)]
        return await _check_modbus(bus)
    except BusError as error:
        checks = [DeviceCheck(device) for device in bus.devices]
        for check in checks:
            check.fail(str(error))
        return checks


async def _check_modbus(bus: Bus) -> list[DeviceCheck]:
    counters = {d.unit: DeviceCounters() for d in bus.devices}

    def note(event: LineEvent, unit: int) -> None:
        if unit in counters:
            counters[unit].add(event.value)

    client = make_client(bus, note)
    line = await open_line(bus, client)
    client.attach(line)
    try:
        checks = []
        for device in bus.devices:
            poller = Poller(device, counters[device.unit], _at_ms)
            began_s = time.monotonic()
            poll = await poller.poll(client)
            for _ in range(TRIES - 1):
                if poll.result not in (TurnResult.SILENT, TurnResult.DAMAGED, TurnResult.BUSY):
                    break
                await asyncio.sleep(0.1)
                began_s = time.monotonic()
                poll = await poller.poll(client)
            check = DeviceCheck(device, poll.samples, reads=len(poller.reads))
            check.seconds = time.monotonic() - began_s
            if poll.error is not None or poll.result is not TurnResult.ANSWERED:
                check.fail(poll.error or "no usable answer")
            check.remarks += _line_remarks(counters[device.unit])
            judge(check)
            checks.append(check)
        return checks
    finally:
        line.close()


async def _check_stream(bus: Bus) -> DeviceCheck:
    device = bus.devices[0]
    check = DeviceCheck(device)
    listener = Listener(device, _at_ms)
    line = await open_line(bus, listener)
    began_s = time.monotonic()
    newest: dict[str, Sample] = {}
    try:
        settings = device.profile.stream
        for start in settings.start:
            line.send(start)
        end_s = began_s + max(STREAM_WAIT_S, 2 * settings.interval_ms / 1000)
        while time.monotonic() < end_s and len(newest) < len(device.metrics):
            if settings.request is not None:
                line.send(settings.request)
            wait_s = min(1.0, max(0.01, end_s - time.monotonic()))
            samples = await listener.next(wait_s)
            if samples and not newest:
                check.seconds = time.monotonic() - began_s
                end_s = min(end_s, time.monotonic() + STREAM_SETTLE_S)
            newest.update((s.metric, s) for s in samples)
    finally:
        line.close()
    order = {m.name: i for i, m in enumerate(device.metrics)}
    check.samples = tuple(sorted(newest.values(), key=lambda s: order[s.metric]))
    frames, resyncs, checksum_errors = listener.take_counts()
    if not frames:
        check.fail(_silent_stream(listener, time.monotonic() - began_s, resyncs))
    if checksum_errors:
        check.fail(f"{checksum_errors} of {frames + checksum_errors} frames were damaged")
    judge(check)
    return check


def _silent_stream(listener: Listener, waited_s: float, resyncs: int) -> str:
    if resyncs or listener.heard:
        return "bytes arrive, but no valid frame (check the profile, baud rate and parity)"
    return f"nothing received for {waited_s:.0f} s (check power, wiring, and that RX and TX are crossed)"


def judge(check: DeviceCheck) -> None:
    """Check the values: some may be missing, or outside the valid range."""
    by_name = {s.metric: s for s in check.samples}
    for metric in check.device.metrics:
        sample = by_name.get(metric.name)
        if sample is None:
            continue
        if sample.value is None:
            check.fail(f"{metric.name} has no reading", Verdict.DOUBTFUL)
            continue
        valid = metric.valid_canonical
        if valid is not None and not valid[0] <= sample.value <= valid[1]:
            check.fail(
                f"{metric.name} = {sample.value:g} {metric.canonical_unit} is outside the valid range "
                f"{valid[0]:g} to {valid[1]:g} (check profile, byte and word order)"
            )


def _line_remarks(counters: DeviceCounters) -> Iterable[str]:
    for counter, text in (
        ("crc_errors", "damaged frames (check wiring, termination, baud rate)"),
        ("foreign_frames", "frames that this program did not request (another master?)"),
        ("late_replies", "late replies (raise timeout)"),
    ):
        if counters[counter]:
            yield f"{counters[counter]} {text}"


def _at_ms(monotonic_s: float) -> int:
    return utc_now_ms() - round((time.monotonic() - monotonic_s) * 1000)


def failed(checks: Iterable[DeviceCheck]) -> bool:
    """Whether a device failed."""
    return any(c.verdict is Verdict.FAILED for c in checks)


def run_check(buses: Sequence[Bus]) -> list[DeviceCheck]:
    """Check every bus; for callers without an event loop."""
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(check_buses(buses))
    return []
