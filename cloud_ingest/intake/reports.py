"""Data taken in: reports become samples in columns, and entries of the ledger."""

import math
from typing import Any

import orjson

from cloud_ingest.intake.context import Context
from cloud_ingest.intake.decode import MAX_TIME_MS, metric_value, parse, sample_of
from cloud_ingest.intake.message import Message
from cloud_ingest.intake.presence import Presence
from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.runs import Gathered, Waiting, split
from cloud_ingest.intake.sessions import Kind, NodeSession, Slot
from cloud_ingest.intake.work import Receipt, Unnumbered
from telemetry import names
from telemetry.quality import Flag
from telemetry.series import NODE_DEVICE, SeriesKey
from telemetry.topics import Topic

TOO_MANY = "too many new series"


class Reports:
    """Takes NDATA and DDATA messages in; those in their usual form wait to be read together."""

    def __init__(self, context: Context, presence: Presence) -> None:
        self._context = context
        self._presence = presence
        self._gathered = Gathered()

    @property
    def waiting(self) -> int:
        """How many samples wait to be read."""
        return self._gathered.samples

    def let_wait(self, topic: Topic, message: Message) -> bool:
        """Keep a message in its usual form to read it with others; False for any other message."""
        session = self._context.sessions.get(topic.gateway)
        if session is None or not session.born or session.group != topic.group:
            return False
        device = session.devices.get(topic.device or "")
        if device is None or not device.plain:
            return False
        if len(message.payload) > self._context.limits.max_payload_bytes:
            return False
        report = split(message.payload)
        if report is None or (report.unmarked and session.acknowledges):
            return False
        for mark in report.marks:
            slot = device.by_alias.get(mark.alias)
            if slot is None or slot.kind is not Kind.BATCH:
                return False
        self._presence.count_sequence(session, report.seq, message.time_ms)
        self._gathered.add(Waiting(message, topic, session, device, report))
        return True

    def read_waiting(self) -> None:
        """Read the messages that wait, with what their gateways announced until now."""
        if not self._gathered.waiting:
            return
        context = self._context
        batch, read, strange = self._gathered.read(context.aliases)
        context.work.columns.extend(batch)
        context.samples_total += len(batch)
        entries, heard = context.work.entries, context.heard
        for w in read:
            gateway, report, now_ms = w.session.gateway, w.report, w.message.time_ms
            heard[gateway, w.device.name] = now_ms
            entries.extend(
                [Receipt(gateway, m.batch, m.samples, m.time_ms, now_ms) for m in report.marks]
            )
            if report.unmarked:
                entries.append(
                    Unnumbered(gateway, report.unmarked, report.unmarked_time_ms, now_ms)
                )
        for w in strange:
            self.take(w.session, w.topic, w.message, counted=True)

    def take(
        self, session: NodeSession, topic: Topic, message: Message, *, counted: bool = False
    ) -> None:
        """Take a message in with the full decoder. ``counted``: its sequence number was seen."""
        payload = parse(message.payload, self._context.limits.max_payload_bytes)
        now_ms = message.time_ms
        device = session.device(topic.device)
        if not session.born or device is None or not (device.born or device.by_name):
            self._presence.ask_rebirth(session, now_ms, "data came before the birth")
            return
        if not counted:
            seq = payload.seq if payload.HasField("seq") else None
            self._presence.count_sequence(session, seq, now_ms)
        self._context.heard[topic.gateway, topic.device] = now_ms
        sent_ms = payload.timestamp if payload.HasField("timestamp") else now_ms
        reading = _Reading(self._context, session, topic, min(sent_ms, MAX_TIME_MS), now_ms)
        for m in payload.metrics:
            slot = (
                device.by_name.get(m.name) if m.HasField("name") else device.by_alias.get(m.alias)
            )
            reading.take(m, slot)
        reading.finish()
        if reading.unknown:
            self._presence.ask_rebirth(session, now_ms, "data of a metric without a birth")
        for reason, samples in reading.refused.items():
            self._context.quarantine(
                Quarantined(
                    now_ms, message.topic, topic.gateway, reason, orjson.dumps(samples), "samples",
                    len(samples),
                )
            )  # fmt: skip

    def take_samples(self, message: Message) -> None:
        """Take single samples in again that were put aside: ``payload`` is what was kept of them."""
        left: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        for sample in orjson.loads(message.payload):
            key = SeriesKey.parse(sample["series"])
            series = self._context.registry.series_of(key)
            if series is None:
                left.append(sample)
                continue
            slot = self._slot(key)
            value = math.nan if sample["value"] is None else sample["value"]
            if slot is not None:
                value = value * slot.factor + slot.offset
            self._context.work.columns.add(
                series.index, sample["time_ms"], value, sample["quality"] or Flag.MISSING.value
            )
            counts[key.gateway] = counts.get(key.gateway, 0) + 1
        for gateway, count in counts.items():
            self._context.samples_total += count
            self._context.work.entries.append(Unnumbered(gateway, count, None, message.time_ms))
        if left:
            gateway = left[0]["series"].split("/", 1)[0]
            self._context.quarantine(
                Quarantined(
                    message.time_ms, message.topic, gateway, "the series is still unknown",
                    orjson.dumps(left), "samples", len(left),
                )
            )  # fmt: skip

    def _slot(self, key: SeriesKey) -> Slot | None:
        session = self._context.sessions.get(key.gateway)
        device = (
            session.device(None if key.device == NODE_DEVICE else key.device) if session else None
        )
        return device.by_name.get(key.metric) if device else None


class _Reading:
    """One message on its way through the full decoder."""

    def __init__(
        self, context: Context, session: NodeSession, topic: Topic, sent_ms: int, now_ms: int
    ) -> None:
        self._context = context
        self._columns = context.work.columns
        self._session = session
        self._topic = topic
        self._sent_ms = sent_ms
        self._now_ms = now_ms
        self._began = self._counted = len(self._columns)
        self._complete = True
        self.unknown = False
        self.refused: dict[str, list[dict[str, Any]]] = {}

    def take(self, m: Any, slot: Slot | None) -> None:
        """Take one metric in; ``slot`` None: no birth announced it."""
        if slot is None and names.is_reserved(m.name):
            slot = Slot(Kind.PROPERTY, m.name, m.datatype)
        if slot is None:
            self._complete, self.unknown = False, True
        elif slot.kind is Kind.SERIES:
            self._add_sample(m, slot)
        elif slot.kind is Kind.BATCH:
            self._close_batch(m)
        elif slot.kind is Kind.PROPERTY:
            self._note(slot.name, metric_value(m, slot.datatype))
        elif slot.reason == TOO_MANY and self._session.acknowledges:
            # It is not acknowledged: after a later birth there is room for the series again.
            self._complete, self.unknown = False, True
        else:
            self.refused.setdefault(slot.reason, []).append(self._describe(slot, m))

    def finish(self) -> None:
        """The message is at its end."""
        rest = len(self._columns) - self._counted
        self._context.samples_total += len(self._columns) - self._began
        if rest and not self._session.acknowledges:
            self._context.work.entries.append(
                Unnumbered(self._session.gateway, rest, self._first(), self._now_ms)
            )

    def _first(self) -> int | None:
        """The time of the first sample since the last mark."""
        return self._columns.time_at(self._counted)

    def _add_sample(self, m: Any, slot: Slot) -> None:
        sample = sample_of(m, slot.datatype)
        if sample is not None:
            value = sample[0] * slot.factor + slot.offset
            self._columns.add(slot.series, self._time(m), value, sample[1])

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
            self._context.registry.describe(self._topic.gateway, self._topic.device, name, value)

    def _time(self, m: Any) -> int:
        return min(m.timestamp, MAX_TIME_MS) if m.HasField("timestamp") else self._sent_ms

    def _describe(self, slot: Slot, m: Any) -> dict[str, Any]:
        sample = sample_of(m, slot.datatype)
        device = self._topic.device or NODE_DEVICE
        return {
            "series": f"{self._topic.gateway}/{device}/{slot.name}",
            "time_ms": self._time(m),
            "value": sample[0] if sample else None,
            "quality": sample[1] if sample else None,
        }
