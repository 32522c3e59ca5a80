"""Handles messages that are not Sparkplug, according to the mappings."""

from collections.abc import Sequence

from cloud_ingest.intake.context import Context
from cloud_ingest.intake.mappings import MappedSample, Mapping, MappingError, RefusedValue, apply
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.quarantine import Quarantined
from cloud_ingest.intake.sparkplug.presence import Presence
from cloud_ingest.intake.sparkplug.report_handler import TOO_MANY
from cloud_ingest.intake.work import UnnumberedSamples
from cloud_ingest.inventory.model import SeriesDescription, Station


class MappedMessageHandler:
    """Handles messages for which there is a mapping."""

    def __init__(
        self, context: Context, presence: Presence, mappings: Sequence[Mapping] = ()
    ) -> None:
        self._context = context
        self._presence = presence
        self._mappings = tuple(mappings)

    def take(self, message: MqttMessage) -> bool:
        """Handle a message; False if there is no mapping for its topic."""
        chosen = [m for m in self._mappings if m.catch(message.topic) is not None]
        for mapping in chosen:
            self._apply(mapping, message)
        return bool(chosen)

    def _apply(self, mapping: Mapping, message: MqttMessage) -> None:
        if len(message.payload) > self._context.limits.max_payload_bytes:
            limit = self._context.limits.max_payload_bytes
            self._context.refuse(message, None, f"larger than {limit} bytes")
            return
        try:
            samples, refused = apply(mapping, message.topic, message.payload, message.time_ms)
        except MappingError as error:
            self._context.refuse(message, None, str(error))
            return
        counts: dict[str, int] = {}
        for sample in samples:
            if self._add(mapping, sample, message):
                counts[sample.key.gateway] = counts.get(sample.key.gateway, 0) + 1
        for gateway, count in counts.items():
            self._context.work.entries.append(
                UnnumberedSamples(gateway, count, samples[0].time_ms, message.time_ms)
            )
        self._quarantine(message, refused)

    def _add(self, mapping: Mapping, sample: MappedSample, message: MqttMessage) -> bool:
        inventory, key = self._context.inventory, sample.key
        series = inventory.series_of(key)
        if series is None:
            known = inventory.gateway(key.gateway)
            if known is not None and known.group != sample.group:
                reason = f"the gateway id {key.gateway!r} belongs to group {known.group!r}"
                self._quarantine(message, [RefusedValue(str(key), sample.value, reason)])
                return False
            if not self._context.series_limiter.allow(key.gateway, message.time_ms):
                self._quarantine(message, [RefusedValue(str(key), sample.value, TOO_MANY)])
                return False
            self._add_to_inventory(sample, message.time_ms)
            series = inventory.admit(
                SeriesDescription(
                    key, sample.group, sample.station, sample.quantity, sample.unit,
                    sample.interval_ms,
                )
            )  # fmt: skip
        self._set_online(mapping, sample, message.time_ms)
        self._context.work.samples.add(series.index, sample.time_ms, sample.value, sample.flag)
        return True

    def _add_to_inventory(self, sample: MappedSample, now_ms: int) -> None:
        inventory, key = self._context.inventory, sample.key
        if inventory.station(sample.station) is None:
            inventory.put_station(Station(sample.station, sample.station, sample.group))
        if inventory.gateway(key.gateway) is None:
            inventory.update_gateway(key.gateway, group=sample.group, station=sample.station)
        if inventory.device(key.gateway, key.device) is None:
            inventory.update_device(key.gateway, key.device, since_ms=now_ms)

    def _set_online(self, mapping: Mapping, sample: MappedSample, now_ms: int) -> None:
        gateway, device = sample.key.gateway, sample.key.device
        if (gateway, device) not in self._context.last_seen:
            self._presence.set_gateway(sample.group, gateway, online=True, now_ms=now_ms)
            self._presence.set_device(sample.group, gateway, device, online=True, now_ms=now_ms)
            self._presence.expect(sample.group, gateway, round(mapping.silence * 1000), now_ms)
        self._context.last_seen[gateway, device] = now_ms

    def _quarantine(self, message: MqttMessage, refused: Sequence[RefusedValue]) -> None:
        by_reason: dict[str, list[dict[str, object]]] = {}
        for r in refused:
            by_reason.setdefault(r.reason, []).append({"series": r.key, "value": r.value})
        for reason, values in by_reason.items():
            gateway = str(values[0]["series"]).split("/", 1)[0]
            item = Quarantined(
                message.time_ms, message.topic, gateway, reason, message.payload, "message",
                len(values),
            )  # fmt: skip
            self._context.quarantine(item)
