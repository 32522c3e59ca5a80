"""Birth certificates: what a host must know to read the reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.outbox import OutboxStatus, StoredReport
from edge_agent.outbox.sqlite.row_format import unpack
from edge_agent.uplink.description import DeviceDescription, MetricDescription, NodeDescription
from telemetry.quality import Flag, to_sparkplug
from telemetry.sparkplug import DataType, Metric, Payload, PropertyValue, names

_MOST_NEWEST = 64


class AliasSource(Protocol):
    """Where aliases are assigned: the outbox."""

    def aliases(self, device: str | None, names: Sequence[str]) -> dict[str, int]:
        """The alias of each metric, the same after every restart."""

    def needed_metrics(self, device: str | None) -> dict[str, int]:
        """Metrics that unconfirmed reports of the device may carry."""

    def retire_all_but(self, present: dict[str, list[str]]) -> None:
        """Set the metrics that are measured now, by device ('' is the gateway)."""


@dataclass(slots=True)
class Diagnostics:
    """The bus counters of the devices, and the values that were sent last."""

    now: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)

    def set(self, counters: Mapping[str, Mapping[str, int]]) -> None:
        """Set new counts, by device and counter."""
        self.now = {
            f"{names.DIAGNOSTICS}{device}/{counter}": count
            for device, counts in counters.items()
            for counter, count in counts.items()
        }

    def changed(self) -> list[str]:
        """Counters that a birth has named and that have changed since they were sent."""
        return [name for name in self.now if self.sent.get(name, -1) not in (-1, self.now[name])]

    def unborn(self) -> bool:
        """Whether some counters are in no birth yet."""
        return any(name not in self.sent for name in self.now)


class Births:
    """Makes the births of one gateway. Knows the last value of every metric."""

    def __init__(self, node: NodeDescription, aliases: AliasSource, *, confirmed: bool) -> None:
        self.diagnostics = Diagnostics()
        self._aliases = aliases
        self._confirmed = confirmed
        self._last: dict[int, tuple[int, float | None, Flag]] = {}
        # The newest report of each shape; unpacked only when a birth needs its values.
        self._newest: dict[int, StoredReport] = {}
        self._closing: dict[str, int] = {}
        self._numbering = 0
        self.describe(node)

    def describe(self, node: NodeDescription) -> None:
        """Replace the description of the gateway."""
        self.node = node
        self._devices = {d.name: d for d in node.devices}
        present = {d.name: [m.name for m in d.metrics] + [names.STORE_BATCH] for d in node.devices}
        present[""] = [m.name for m in node.metrics]
        self._aliases.retire_all_but(present)

    def begin(self, numbering: int) -> None:
        """A session begins. If report numbers started again, aliases stand for other metrics now."""
        if numbering != self._numbering:
            self._numbering = numbering
            self._last.clear()
            self._newest.clear()
            self._closing.clear()

    def note(self, report: StoredReport) -> None:
        """Remember the values of a report as the last values."""
        if not report.has_values_only:
            self._unpack_values(report)
            return
        before = self._newest.get(report.shape.number)
        if before is None or report.time_ms >= before.time_ms:
            self._newest[report.shape.number] = report
            if len(self._newest) > _MOST_NEWEST:
                self._unpack_newest()

    def _unpack_newest(self) -> None:
        for report in self._newest.values():
            self._unpack_values(report)
        self._newest.clear()

    def _unpack_values(self, report: StoredReport) -> None:
        for alias, time_ms, value, flag in unpack(report):
            if time_ms >= self._last.get(alias, (0, None, Flag.MISSING))[0]:
                self._last[alias] = (time_ms, value, flag)

    def closing_alias(self, device: str) -> int:
        """The alias of the report number (``Store/Batch``) of a device."""
        alias = self._closing.get(device)
        if alias is None:
            alias = self._aliases.aliases(device, [names.STORE_BATCH])[names.STORE_BATCH]
            self._closing[device] = alias
        return alias

    def nbirth(self, now_ms: int, bdseq: int, status: OutboxStatus, lowest: int) -> Payload:
        """The birth of the gateway."""
        metrics = [
            _plain(names.BDSEQ, DataType.INT64, bdseq, now_ms),
            _plain(names.REBIRTH, DataType.BOOLEAN, False, now_ms),
        ]
        if self._confirmed:
            through = min(status.ack_through, lowest - 1)
            metrics += [
                _plain(names.ACK_THROUGH, DataType.UINT64, through, now_ms),
                _plain(names.STORE_NEXT, DataType.UINT64, status.next_batch, now_ms),
                _plain(names.STORE_BATCH, DataType.UINT64, None, now_ms),
            ]
        metrics += self.store_metrics(now_ms, status, lowest)
        metrics += self._place(now_ms)
        counters = self.diagnostics.now
        numbers = self._aliases.aliases(None, list(counters))
        metrics += [
            Metric(name, numbers[name], now_ms, DataType.UINT64, count)
            for name, count in counters.items()
        ]
        self.diagnostics.sent = dict(counters)
        metrics += self._measured(None, self.node.metrics, now_ms)
        return Payload(now_ms, tuple(metrics), 0)

    def store_metrics(self, now_ms: int, status: OutboxStatus, lowest: int) -> list[Metric]:
        """The status of the outbox as metrics by name, for births and NDATA."""
        oldest_ms = status.oldest_time_ms
        metrics = [
            _plain(names.STORE_BACKLOG, DataType.INT64, status.depth_samples, now_ms),
            _plain(names.STORE_OLDEST_TIME, DataType.INT64, oldest_ms, now_ms),
            _plain(names.STORE_MEASURED, DataType.UINT64, status.measured_total, now_ms),
            _plain(names.STORE_GIVEN_UP, DataType.UINT64, status.evicted_total, now_ms),
        ]
        if self._confirmed:
            metrics.insert(0, _plain(names.STORE_OLDEST, DataType.UINT64, lowest, now_ms))
        return metrics

    def changed_counters(self, now_ms: int) -> list[Metric]:
        """Counters that changed since they were sent; they count as sent now."""
        changed = self.diagnostics.changed()
        numbers = self._aliases.aliases(None, changed)
        self.diagnostics.sent.update({name: self.diagnostics.now[name] for name in changed})
        return [
            Metric(None, numbers[n], now_ms, DataType.UINT64, self.diagnostics.now[n])
            for n in changed
        ]

    def dbirth(
        self, device: str, now_ms: int, seq: int, *, history_only: bool
    ) -> tuple[Payload, set[int]]:
        """The birth of a device, and the aliases that it names."""
        known = self._devices.get(device, DeviceDescription(device, ()))
        metrics = []
        if self._confirmed:
            closing = self.closing_alias(device)
            metrics.append(
                Metric(names.STORE_BATCH, closing, now_ms, DataType.UINT64, is_null=True)
            )
        metrics += [
            _plain(name, DataType.STRING, text, now_ms)
            for name, text in (
                (names.PROFILE, known.profile),
                (names.MANUFACTURER, known.manufacturer),
                (names.MODEL, known.model),
                (names.BUS, known.bus),
            )
            if text
        ]
        if history_only:
            metrics.append(_plain(names.HISTORY_ONLY, DataType.BOOLEAN, True, now_ms))
        metrics += self._measured(device, known.metrics, now_ms)
        named = {m.alias for m in metrics if m.alias is not None}
        return Payload(now_ms, tuple(metrics), seq), named

    def _place(self, now_ms: int) -> list[Metric]:
        node = self.node
        texts = (
            (names.STATION_ID, node.station_id),
            (names.STATION_NAME, node.station_name),
            (names.AGENT_VERSION, node.agent_version),
        )
        metrics = [_plain(n, DataType.STRING, text, now_ms) for n, text in texts if text]
        places = ((names.LATITUDE, node.latitude), (names.LONGITUDE, node.longitude))
        metrics += [_plain(n, DataType.DOUBLE, x, now_ms) for n, x in places if x is not None]
        return metrics

    def _measured(
        self, device: str | None, described: Sequence[MetricDescription], now_ms: int
    ) -> list[Metric]:
        self._unpack_newest()
        numbers = self._aliases.aliases(device, [m.name for m in described])
        metrics = [self._metric(m.name, numbers[m.name], now_ms, _properties(m)) for m in described]
        metrics += [
            self._metric(name, alias, now_ms, {})
            for name, alias in self._aliases.needed_metrics(device).items()
            if name not in numbers
            and name != names.STORE_BATCH
            and not (device is None and names.is_reserved(name))
        ]
        return metrics

    def _metric(
        self, name: str, alias: int, now_ms: int, properties: dict[str, PropertyValue]
    ) -> Metric:
        last = self._last.get(alias)
        if last is None:
            return Metric(name, alias, now_ms, DataType.DOUBLE, is_null=True, properties=properties)
        time_ms, value, flag = last
        if flag is not Flag.NOT_EVALUATED:
            properties = properties | {
                names.QUALITY: PropertyValue(DataType.INT32, to_sparkplug(flag)),
                names.FLAG: PropertyValue(DataType.INT32, int(flag)),
            }
        return Metric(
            name, alias, time_ms, DataType.DOUBLE, value, value is None, properties=properties
        )


def changing_status(status: OutboxStatus, lowest: int) -> tuple[object, ...]:
    """The part of the outbox's status whose change is worth a message."""
    return (status.depth_samples, status.oldest_time_ms, status.measured_total,
            status.evicted_total, lowest if status.depth_samples else 0)  # fmt: skip


def _properties(metric: MetricDescription) -> dict[str, PropertyValue]:
    found = {
        names.ENG_UNIT: PropertyValue(DataType.STRING, metric.unit),
        names.QUANTITY: PropertyValue(DataType.STRING, metric.quantity),
    }
    if metric.interval_ms:
        found[names.INTERVAL] = PropertyValue(DataType.INT64, metric.interval_ms)
    if metric.low is not None:
        found[names.LOW] = PropertyValue(DataType.DOUBLE, metric.low)
    if metric.high is not None:
        found[names.HIGH] = PropertyValue(DataType.DOUBLE, metric.high)
    return found


def _plain(name: str, datatype: DataType, value: object, now_ms: int) -> Metric:
    return Metric(name, None, now_ms, datatype, value, value is None)
