"""The batch decoder: reports of the usual form, collected and decoded many at a time.

``byte_scan`` reads their bytes; here their aliases become series. A message that does not fit the
birth of its device is left to the full decoder (``decoder``), which gives the same result more
slowly (tests/cloud_ingest/intake/test_batch_decoder.py compares them).
"""

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.sparkplug import byte_scan
from cloud_ingest.intake.sparkplug.byte_scan import ScannedMessages
from cloud_ingest.intake.sparkplug.sessions import DeviceSession, MetricRole, NodeSession
from cloud_ingest.intake.work import Receipts, UnnumberedSamples
from telemetry.batches import Bool, Float64, Int32, Int64, SampleBatch, UInt8
from telemetry.quality import Flag
from telemetry.sparkplug.topics import Topic

LARGEST_ALIAS: Final = 16_383
_NO_MARK: Final = -1


class Route(NamedTuple):
    """The session and device of the data messages of one topic; ``number`` is the device's row."""

    topic: Topic
    session: NodeSession
    device: DeviceSession
    number: int


class AliasTable:
    """The series of all aliases of all devices in one array, so that numpy looks up many at once.

    Each device has a row in ``_devices``: where its aliases begin in the array of series, its
    lowest alias, the size of its part of the array, the alias of its Store/Batch (-1: none), and
    the index of its gateway in ``gateways``.
    """

    def __init__(self) -> None:
        self._series: Int32 = np.full(1024, -1, dtype=np.int32)
        self._used = 0
        self._devices: Int64 = np.zeros((64, 5), dtype=np.int64)
        self._acknowledges: Bool = np.zeros(64, dtype=np.bool_)
        self.devices: list[tuple[str, str | None]] = []
        self.gateways: list[str] = []

    def enter(self, session: NodeSession, device: DeviceSession) -> None:
        """Enter the aliases of a device after its birth.

        A device that needs unit conversion is left to the full decoder.
        """
        with_alias = [(t.alias, t) for t in device.targets if t.alias is not None]
        series = [(alias, t) for alias, t in with_alias if t.role is MetricRole.SERIES]
        marks = [alias for alias, t in with_alias if t.role is MetricRole.BATCH]
        aliases = [alias for alias, _ in series]
        device.fits_batch_decoder = (
            len(series) > 0
            and max(aliases) <= LARGEST_ALIAS
            and len(marks) <= 1
            and all(t.factor == 1.0 and t.offset == 0.0 for _, t in series)
        )
        if not device.fits_batch_decoder:
            return
        if device.number < 0:
            self._number(session, device)
        first, size = min(aliases), max(aliases) - min(aliases) + 1
        start, _, room, _, gateway = self._devices[device.number].tolist()
        if size > room:
            start, room = self._reserve(size), size
        mark = marks[0] if marks else _NO_MARK
        self._devices[device.number] = start, first, room, mark, gateway
        self._series[start : start + room] = -1
        self._series[np.array(aliases) + (start - first)] = [t.series for _, t in series]

    def _number(self, session: NodeSession, device: DeviceSession) -> None:
        if session.number < 0:
            session.number = len(self.gateways)
            self.gateways.append(session.gateway)
            if session.number == len(self._acknowledges):
                self._acknowledges = np.concatenate([self._acknowledges, self._acknowledges])
            self.note_acknowledges(session)
        device.number = len(self.devices)
        self.devices.append((session.gateway, device.name))
        if device.number == len(self._devices):
            self._devices = np.concatenate([self._devices, np.zeros_like(self._devices)])
        self._devices[device.number] = 0, 0, 0, _NO_MARK, session.number

    def note_acknowledges(self, session: NodeSession) -> None:
        """Note whether a gateway waits for acknowledgements, as its birth says."""
        if session.number >= 0:
            self._acknowledges[session.number] = session.acknowledges

    def _reserve(self, size: int) -> int:
        start = self._used
        self._used += size
        if self._used > len(self._series):
            larger = np.full(max(self._used, 2 * len(self._series)), -1, dtype=np.int32)
            larger[: len(self._series)] = self._series
            self._series = larger
        return start

    def look_up(self, device: Int64, owner: Int64, alias: Int64) -> Int32:
        """The series of each alias; -1 if there is none. ``owner`` holds indices of ``device``."""
        start, first, size = self._devices[device, :3].T
        at = alias - first[owner]
        known = (at >= 0) & (at < size[owner])
        at += start[owner]
        if known.all():
            every: Int32 = self._series[at]
            return every
        found: Int32 = self._series[np.where(known, at, 0)]
        found[~known] = -1
        return found

    def marks_of(self, device: Int64) -> Int64:
        """The alias of the Store/Batch of each device; -1 if there is none."""
        marks: Int64 = self._devices[device, 3]
        return marks

    def gateways_of(self, device: Int64) -> Int64:
        """The number of the gateway of each device."""
        numbers: Int64 = self._devices[device, 4]
        return numbers

    def awaits_acknowledgement(self, gateway: Int64) -> Bool:
        """Which of these gateways wait for acknowledgements."""
        result: Bool = self._acknowledges[gateway]
        return result


class DecodedBatch(NamedTuple):
    """The decoded messages.

    ``device``, ``gateway``, ``arrived_ms`` and ``clock_offset_ms`` (time stamp less arrival) have an
    entry for each decoded message. ``others`` are left to the full decoder.
    """

    batch: SampleBatch
    receipts: Receipts | None
    unnumbered: list[UnnumberedSamples]
    device: Int64
    arrived_ms: Int64
    gateway: Int64
    clock_offset_ms: Int64
    others: list[tuple[MqttMessage, Route]]


class BatchDecoder:
    """Collects messages and decodes them together."""

    def __init__(self) -> None:
        self._messages: list[MqttMessage] = []
        self._routes: list[Route] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._messages)

    @property
    def samples(self) -> int:
        """Approximate number of collected samples; a sample takes at least 20 bytes."""
        return self._bytes // 20

    def add(self, message: MqttMessage, route: Route) -> None:
        """Collect a message."""
        self._messages.append(message)
        self._routes.append(route)
        self._bytes += len(message.payload)

    def decode(self, table: AliasTable) -> DecodedBatch:
        """Decode the collected messages; none is left afterwards."""
        messages, routes = self._messages, self._routes
        self._messages, self._routes, self._bytes = [], [], 0
        scanned = byte_scan.scan([m.payload for m in messages])
        device = np.array([r.number for r in routes])
        arrived_ms = np.array([m.time_ms for m in messages])
        gateway = table.gateways_of(device)
        series = table.look_up(device, scanned.owner, scanned.alias)
        good = scanned.read & ~((scanned.unmarked > 0) & table.awaits_acknowledgement(gateway))
        good[scanned.owner[series < 0]] = False
        marks = table.marks_of(device)[scanned.mark_owner]
        good[scanned.mark_owner[scanned.mark_alias != marks]] = False
        batch = SampleBatch(series, scanned.time_ms, *_flag_values(scanned.value))
        others: list[tuple[MqttMessage, Route]] = []
        if not good.all():
            batch, scanned = batch.select(good[scanned.owner]), _without_bad_messages(scanned, good)
            others = [(messages[n], routes[n]) for n in np.flatnonzero(~good).tolist()]
        return DecodedBatch(
            batch,
            _receipts(scanned, gateway, arrived_ms, table),
            _unnumbered(scanned, gateway, arrived_ms, table),
            device[good],
            arrived_ms[good],
            gateway[good],
            (scanned.sent_ms - arrived_ms)[good],
            others,
        )


def _without_bad_messages(scanned: ScannedMessages, good: Bool) -> ScannedMessages:
    """The same scan with only the Store/Batch marks of the good messages; samples stay."""
    keep = good[scanned.mark_owner]
    return replace(
        scanned,
        mark_owner=scanned.mark_owner[keep],
        mark_batch=scanned.mark_batch[keep],
        mark_samples=scanned.mark_samples[keep],
        mark_time_ms=scanned.mark_time_ms[keep],
        unmarked=np.where(good, scanned.unmarked, 0),
    )


def _receipts(
    scanned: ScannedMessages, gateway: Int64, arrived_ms: Int64, table: AliasTable
) -> Receipts | None:
    owner = scanned.mark_owner
    if not len(owner):
        return None
    return Receipts(
        table.gateways, gateway[owner], scanned.mark_batch, scanned.mark_samples,
        scanned.mark_time_ms, arrived_ms[owner],
    )  # fmt: skip


def _unnumbered(
    scanned: ScannedMessages, gateway: Int64, arrived_ms: Int64, table: AliasTable
) -> list[UnnumberedSamples]:
    some = np.flatnonzero(scanned.unmarked)
    return [
        UnnumberedSamples(table.gateways[g], samples, time_ms, now_ms)
        for g, samples, time_ms, now_ms in zip(
            gateway[some].tolist(), scanned.unmarked[some].tolist(),
            scanned.unmarked_time_ms[some].tolist(), arrived_ms[some].tolist(), strict=True,
        )
    ]  # fmt: skip


def _flag_values(value: Float64) -> tuple[Float64, UInt8]:
    """Values and flags: NaN is missing, infinity becomes NaN with fail, all others not evaluated."""
    quality = np.full(len(value), Flag.NOT_EVALUATED.value, dtype=np.uint8)
    if not np.isfinite(value).all():
        quality[np.isnan(value)] = Flag.MISSING.value
        infinite = np.isinf(value)
        quality[infinite] = Flag.FAIL.value
        value = np.where(infinite, np.nan, value)
    return value, quality
