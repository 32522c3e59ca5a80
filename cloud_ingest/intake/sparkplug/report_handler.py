"""Handles NDATA and DDATA: reports become samples and ledger entries."""

import math
from typing import Any

import orjson

from cloud_ingest.intake.clock_offsets import ClockOffsets
from cloud_ingest.intake.context import Context
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.sparkplug.batch_decoder import BatchDecoder, Route
from cloud_ingest.intake.sparkplug.byte_scan import sequence_number
from cloud_ingest.intake.sparkplug.decoder import (
    MAX_TIME_MS,
    metric_value,
    parse,
    sample_of,
)
from cloud_ingest.intake.sparkplug.presence import Presence
from cloud_ingest.intake.sparkplug.session_states import HostSessionEvent
from cloud_ingest.intake.sparkplug.sessions import MetricRole, MetricTarget, NodeSession
from cloud_ingest.intake.work import Receipt, UnnumberedSamples
from telemetry.quality import Flag
from telemetry.series import NODE_DEVICE, SeriesKey
from telemetry.sparkplug import PayloadError, names
from telemetry.sparkplug.topics import Topic

TOO_MANY = "too many new series"


class ReportHandler:
    """Handles NDATA and DDATA. Messages of the usual form are collected and decoded as a batch."""

    def __init__(self, context: Context, presence: Presence, clocks: ClockOffsets) -> None:
        self._context = context
        self._presence = presence
        self._clocks = clocks
        self._decoder = BatchDecoder()
        self._largest = context.limits.max_payload_bytes

    @property
    def collected(self) -> int:
        """Approximate number of collected samples."""
        return self._decoder.samples

    def route(self, topic: Topic) -> Route | None:
        """The route of the data messages of a born device; None if they need the full decoder."""
        session = self._context.sessions.get(topic.gateway)
        if session is None or session.group != topic.group or topic.device is None:
            return None
        device = session.devices.get(topic.device)
        if device is None or not device.fits_batch_decoder:
            return None
        return Route(topic, session, device, device.number)

    def collect(self, route: Route, message: MqttMessage) -> bool:
        """Collect a message of the usual form; False for any other message."""
        _, session, device, _ = route
        payload = message.payload
        if not session.born or not device.fits_batch_decoder or len(payload) > self._largest:
            return False
        seq = sequence_number(payload)
        if seq is None:
            return False
        check = session.sequence
        if seq == check.expected:
            check.expected = (seq + 1) & 0xFF
        else:
            self._presence.count_sequence(session, seq, message.time_ms)
        self._decoder.add(message, route)
        return True

    def decode_collected(self) -> None:
        """Decode the collected messages with the births so far."""
        if not self._decoder:
            return
        context = self._context
        decoded = self._decoder.decode(context.aliases)
        context.work.samples.extend(decoded.batch)
        context.inventory.note_many_last_seen(
            context.aliases.devices, decoded.device, decoded.arrived_ms
        )
        self._clocks.note_many(context.aliases.gateways, decoded.gateway, decoded.clock_offset_ms)
        if decoded.receipts is not None:
            context.work.entries.append(decoded.receipts)
        context.work.entries.extend(decoded.unnumbered)
        for message, route in decoded.others:
            try:
                self.take(route.session, route.topic, message, counted=True)
            except PayloadError as error:
                context.refuse(message, route.topic.gateway, str(error))

    def take(
        self, session: NodeSession, topic: Topic, message: MqttMessage, *, counted: bool = False
    ) -> None:
        """Decode a message with the full decoder. ``counted``: its sequence number was checked."""
        payload = parse(message.payload, self._context.limits.max_payload_bytes)
        now_ms = message.time_ms
        device = session.device(topic.device)
        before = "data came before the birth"
        if not self._presence.handle(session, HostSessionEvent.DATA, now_ms, before):
            return
        if device is None or not (device.born or device.targets):
            self._presence.handle(session, HostSessionEvent.INCOMPLETE, now_ms, before)
            return
        if not counted:
            seq = payload.seq if payload.HasField("seq") else None
            self._presence.count_sequence(session, seq, now_ms)
        self._context.last_seen[topic.gateway, topic.device] = now_ms
        sent_ms = payload.timestamp if payload.HasField("timestamp") else now_ms
        decoder = _MessageDecoder(self._context, session, topic, min(sent_ms, MAX_TIME_MS), now_ms)
        for m in payload.metrics:
            target = (
                device.by_name.get(m.name) if m.HasField("name") else device.by_alias.get(m.alias)
            )
            decoder.take(m, target)
        decoder.finish()
        if decoder.unknown:
            reason = "data of a metric without a birth"
            self._presence.handle(session, HostSessionEvent.INCOMPLETE, now_ms, reason)
        for reason, samples in decoder.refused.items():
            self._context.quarantine(
                Quarantined(
                    now_ms, message.topic, topic.gateway, reason, orjson.dumps(samples), "samples",
                    len(samples),
                )
            )  # fmt: skip

    def take_samples(self, message: MqttMessage) -> None:
        """Take samples that are replayed from quarantine; ``payload`` holds them as JSON."""
        left: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        for sample in orjson.loads(message.payload):
            key = SeriesKey.parse(sample["series"])
            series = self._context.inventory.series_of(key)
            if series is None:
                left.append(sample)
                continue
            target = self._target(key)
            value = math.nan if sample["value"] is None else sample["value"]
            if target is not None:
                value = value * target.factor + target.offset
            self._context.work.samples.add(
                series.index, sample["time_ms"], value, sample["quality"] or Flag.MISSING.value
            )
            counts[key.gateway] = counts.get(key.gateway, 0) + 1
        for gateway, count in counts.items():
            self._context.work.entries.append(
                UnnumberedSamples(gateway, count, None, message.time_ms)
            )
        if left:
            gateway = left[0]["series"].split("/", 1)[0]
            self._context.quarantine(
                Quarantined(
                    message.time_ms, message.topic, gateway, "the series is still unknown",
                    orjson.dumps(left), "samples", len(left),
                )
            )  # fmt: skip

    def _target(self, key: SeriesKey) -> MetricTarget | None:
        session = self._context.sessions.get(key.gateway)
        device = (
            session.device(None if key.device == NODE_DEVICE else key.device) if session else None
        )
        return device.by_name.get(key.metric) if device else None


class _MessageDecoder:
    """Decodes the metrics of one message with the full decoder."""

    def __init__(
        self, context: Context, session: NodeSession, topic: Topic, sent_ms: int, now_ms: int
    ) -> None:
        self._context = context
        self._columns = context.work.samples
        self._session = session
        self._topic = topic
        self._sent_ms = sent_ms
        self._now_ms = now_ms
        self._counted = len(self._columns)
        self._complete = True
        self.unknown = False
        self.refused: dict[str, list[dict[str, Any]]] = {}

    def take(self, m: Any, target: MetricTarget | None) -> None:
        """Decode one metric; ``target`` None: no birth announced it."""
        if target is None and names.is_reserved(m.name):
            target = MetricTarget(MetricRole.PROPERTY, m.name, m.datatype)
        if target is None:
            self._complete, self.unknown = False, True
        elif target.role is MetricRole.SERIES:
            self._add_sample(m, target)
        elif target.role is MetricRole.BATCH:
            self._close_batch(m)
        elif target.role is MetricRole.PROPERTY:
            self._note(target.name, metric_value(m, target.datatype))
        elif target.reason == TOO_MANY and self._session.acknowledges:
            # It is not acknowledged: a later birth may find room for the series.
            self._complete, self.unknown = False, True
        else:
            self.refused.setdefault(target.reason, []).append(self._describe(target, m))

    def finish(self) -> None:
        """Count the samples after the last Store/Batch, at the end of the message."""
        rest = len(self._columns) - self._counted
        if rest and not self._session.acknowledges:
            self._context.work.entries.append(
                UnnumberedSamples(self._session.gateway, rest, self._first(), self._now_ms)
            )

    def _first(self) -> int | None:
        """The time of the first sample after the last Store/Batch."""
        return self._columns.time_at(self._counted)

    def _add_sample(self, m: Any, target: MetricTarget) -> None:
        sample = sample_of(m, target.datatype)
        if sample is not None:
            value = sample[0] * target.factor + target.offset
            self._columns.add(target.series, self._time(m), value, sample[1])

    def _close_batch(self, m: Any) -> None:
        if not m.is_null and self._complete:
            count = len(self._columns) - self._counted
            self._context.work.entries.append(
                Receipt(self._topic.gateway, m.long_value, count, self._first(), self._now_ms)
            )
        self._counted, self._complete = len(self._columns), True

    def _note(self, name: str, value: float | str | None) -> None:
        if self._topic.device is None and names.is_reserved(name):
            self._context.note_node(self._topic.gateway, name, value, self._now_ms)
        else:
            self._context.inventory.describe(self._topic.gateway, self._topic.device, name, value)

    def _time(self, m: Any) -> int:
        return min(m.timestamp, MAX_TIME_MS) if m.HasField("timestamp") else self._sent_ms

    def _describe(self, target: MetricTarget, m: Any) -> dict[str, Any]:
        sample = sample_of(m, target.datatype)
        device = self._topic.device or NODE_DEVICE
        return {
            "series": f"{self._topic.gateway}/{device}/{target.name}",
            "time_ms": self._time(m),
            "value": sample[0] if sample else None,
            "quality": sample[1] if sample else None,
        }
