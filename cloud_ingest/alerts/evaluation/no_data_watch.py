"""The no-data watch: which subjects are stale by the clock, and the widest outage that explains them.

No database. The timeout of a series restarts when a sample arrives, when its gateway or the broker
comes back, and when the service starts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from alert_rules.evaluator import grown
from alert_rules.kinds.no_data import NoDataRule
from alert_rules.rule import Rule
from alert_rules.staleness import Outages, Scope, Topology, find_outages
from cloud_ingest.alerts.model import ScopeName
from telemetry.batches import Bool, Int64, SampleBatch
from telemetry.quantities import QUANTITIES
from telemetry.series import NODE_DEVICE, Series

BROKER_SUBJECT = "*"
_BUS_TAG = "bus:"


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """A subject of a rule: series key, gateway/device, gateway#bus, gateway, or ``*`` for the broker."""

    rule: str
    scope: ScopeName
    subject: str


@dataclass(frozen=True, slots=True)
class StaleSubject:
    """A stale subject, the time of its last sample, and one of the series that it covers."""

    key: SubjectKey
    rule: NoDataRule
    since_ms: int
    series: Series | None
    gateway: str | None
    device: str | None


def _is_derived(series: Series) -> bool:
    known = QUANTITIES.get(series.quantity)
    return known is not None and (known.domain == "index" or known.name == "clock_offset")


class NoDataWatch:
    """Notes the arrival of samples and finds the subjects without data for longer than their timeout."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = [r for r in rules if isinstance(r, NoDataRule)]
        self._series: list[Series] = []
        self._arrived_ms = np.empty(0, np.int64)
        self._sample_ms = np.empty(0, np.int64)
        self._index = np.empty(0, np.int32)  # the row of each series, -1: not watched
        self._devices: dict[tuple[str, str], int] = {}
        self._buses: dict[tuple[str, str], int] = {}
        self._gateways: dict[str, int] = {}
        self._offline_ms: dict[tuple[str, str | None], int] = {}
        self._broker_offline_ms: int | None = None
        self._since_ms = 0
        self._is_arranged = False
        self._timeouts: dict[str, tuple[Bool, Int64]] = {}
        self._topology = Topology(
            np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int32)
        )

    def register(self, series: Sequence[Series]) -> None:
        """Add series, or update known ones."""
        top = max((one.index for one in series), default=-1) + 1
        self._index = grown(self._index, top, -1)
        for one in series:
            if _is_derived(one):
                continue  # computed in the cloud: it does not show that a device sends
            row = int(self._index[one.index])
            if row >= 0:
                self._series[row] = one
            else:
                self._index[one.index] = len(self._series)
                self._series.append(one)
        self._arrived_ms = grown(self._arrived_ms, len(self._series), 0)
        self._sample_ms = grown(self._sample_ms, len(self._series), 0)
        self._is_arranged = False

    def _arrange(self) -> None:
        """Build the topology again after series were registered."""
        self._is_arranged = True
        self._devices, self._buses, self._gateways = {}, {}, {}
        device, bus_of, gateway_of = [], [], []
        for one in self._series:
            name = (one.key.gateway, one.key.device)
            if name not in self._devices:
                self._devices[name] = len(self._devices)
                gateway_of.append(self._gateways.setdefault(name[0], len(self._gateways)))
                bus = next((t for t in one.tags if t.startswith(_BUS_TAG)), None)
                bus_of.append(
                    -1 if bus is None
                    else self._buses.setdefault((name[0], bus[len(_BUS_TAG) :]), len(self._buses))
                )  # fmt: skip
            device.append(self._devices[name])
        self._topology = Topology(
            np.array(device, np.int32), np.array(bus_of, np.int32), np.array(gateway_of, np.int32)
        )
        interval = np.array([s.interval_ms for s in self._series], np.int64)
        for rule in self.rules:
            watched = np.array([rule.select.matches(s) for s in self._series], np.bool_)
            self._timeouts[rule.full_id] = (watched, rule.timeout_ms(interval))

    def start(self, now_ms: int, last_ms: Int64) -> None:
        """Start; ``last_ms`` is the time of each series' newest sample from before."""
        self._since_ms = now_ms
        for row, one in enumerate(self._series):
            if one.index < len(last_ms):
                self._sample_ms[row] = self._arrived_ms[row] = last_ms[one.index]

    def note(self, batch: SampleBatch, now_ms: int) -> None:
        """Note samples that arrived at ``now_ms``."""
        within = batch.series < len(self._index)
        row = self._index[batch.series[within]]
        sent = row >= 0
        row = row[sent]
        self._arrived_ms[row] = now_ms
        np.maximum.at(self._sample_ms, row, np.minimum(batch.time_ms[within][sent], now_ms))

    def set_online(self, gateway: str, device: str | None, online: bool, now_ms: int) -> None:
        """Note that a gateway (device None) or a device was born or has died."""
        name = (gateway, device)
        if not online:
            self._offline_ms.setdefault(name, now_ms)
            return
        if self._offline_ms.pop(name, None) is None:
            return
        for row, one in enumerate(self._series):
            mine = one.key.gateway == gateway and device in (None, one.key.device)
            if mine and self._arrived_ms[row]:
                self._arrived_ms[row] = max(self._arrived_ms[row], now_ms)

    def set_broker_online(self, online: bool, now_ms: int) -> None:
        """Note that the connection to the broker was made or lost."""
        if online and self._broker_offline_ms is not None:
            self._since_ms = now_ms
            self._broker_offline_ms = None
        elif not online and self._broker_offline_ms is None:
            self._broker_offline_ms = now_ms

    def judge(
        self, rule: NoDataRule, now_ms: int, still: Iterable[SubjectKey]
    ) -> tuple[list[StaleSubject], set[SubjectKey]]:
        """Newly stale subjects not explained by a wider outage, and those of ``still`` that remain stale."""
        if not self._is_arranged:
            self._arrange()
        watched, timeout_ms = self._timeouts[rule.full_id]
        arrived_ms = np.where(watched, self._arrived_ms, 0)
        offline = self._broker_offline_ms
        broker = offline is not None and now_ms - offline > rule.at_least
        found: list[StaleSubject] = []
        if offline is None or broker:  # shortly after the broker went, narrower outages are unknown
            with_restarts_ms = np.where(arrived_ms > 0, np.maximum(arrived_ms, self._since_ms), 0)
            outages = find_outages(
                now_ms, with_restarts_ms, timeout_ms, self._topology, broker_online=not broker
            )
            self._count_deaths(rule, now_ms, with_restarts_ms, outages)
            found = self._name(rule, outages, now_ms)
        # A stale subject stays stale until a sample arrives, although its timeout may have restarted.
        outages = find_outages(
            now_ms, arrived_ms, timeout_ms, self._topology, broker_online=offline is None
        )
        self._count_deaths(rule, now_ms, arrived_ms, outages)
        return found, {key for key in still if offline is not None or self._is_stale(key, outages)}

    def _count_deaths(self, rule: NoDataRule, now_ms: int, last: Int64, outages: Outages) -> None:
        """Mark what an announced death covers as stale once it has lasted for ``at_least``."""
        for (gateway, device), since_ms in self._offline_ms.items():
            if now_ms - since_ms <= rule.at_least or gateway not in self._gateways:
                continue
            if device is None:
                covered = self._topology.gateway_of_device == self._gateways[gateway]
                outages.gateway.stale[self._gateways[gateway]] |= bool(
                    (covered[self._topology.device] & (last > 0)).any()
                )
            elif (gateway, device) in self._devices:
                covered = np.zeros(len(self._devices), np.bool_)
                covered[self._devices[gateway, device]] = True
            else:
                continue
            mine = covered[self._topology.device] & (last > 0)
            outages.series.stale[mine] = True
            dead = self._topology.device[mine]
            outages.device.stale[dead] = True
            outages.device.timeout_ms[dead] = 0  # the death is certain: no timeout applies

    def _name(self, rule: NoDataRule, outages: Outages, now_ms: int) -> list[StaleSubject]:
        widest = outages.widest_scope(self._topology)
        if outages.broker:
            key = SubjectKey(rule.full_id, "broker", BROKER_SUBJECT)
            return [StaleSubject(key, rule, self._broker_offline_ms or now_ms, None, None, None)]
        found: dict[SubjectKey, StaleSubject] = {}
        for row in np.flatnonzero(widest >= 0):
            series = self._series[row]
            key, device = self._key(rule, Scope(int(widest[row])), series)
            since = int(self._sample_ms[row])
            if key in found:
                since = max(since, found[key].since_ms)
            found[key] = StaleSubject(key, rule, since, series, series.key.gateway, device)
        return list(found.values())

    def _key(self, rule: NoDataRule, scope: Scope, series: Series) -> tuple[SubjectKey, str | None]:
        key = series.key
        if scope is Scope.METRIC:
            return SubjectKey(rule.full_id, "metric", str(key)), key.device
        if scope is Scope.DEVICE and key.device != NODE_DEVICE:
            return SubjectKey(rule.full_id, "device", f"{key.gateway}/{key.device}"), key.device
        if scope is Scope.BUS:
            bus = next(t for t in series.tags if t.startswith(_BUS_TAG))[len(_BUS_TAG) :]
            return SubjectKey(rule.full_id, "bus", f"{key.gateway}#{bus}"), None
        return SubjectKey(rule.full_id, "gateway", key.gateway), None

    def _is_stale(self, key: SubjectKey, outages: Outages) -> bool:
        if key.scope == "broker":
            return outages.broker
        if key.scope == "gateway":
            number = self._gateways.get(key.subject)
            return number is not None and bool(outages.gateway.stale[number])
        if key.scope == "bus":
            gateway, _, bus = key.subject.partition("#")
            number = self._buses.get((gateway, bus))
            return number is not None and bool(outages.bus.stale[number])
        if key.scope == "device":
            gateway, _, device = key.subject.partition("/")
            number = self._devices.get((gateway, device))
            return number is not None and bool(outages.device.stale[number])
        return any(
            bool(outages.series.stale[row])
            for row, one in enumerate(self._series)
            if str(one.key) == key.subject
        )

    def covers(self, wide: SubjectKey, narrow: SubjectKey) -> bool:
        """Whether an outage of ``wide`` explains that of ``narrow``."""
        if wide == narrow:
            return False
        if wide.scope == "broker":
            return True
        gateway = narrow.subject.split("/")[0].split("#")[0]
        if wide.scope == "gateway":
            return wide.subject == gateway and narrow.scope not in ("gateway", "broker")
        if wide.scope == "device":
            return narrow.scope == "metric" and narrow.subject.startswith(wide.subject + "/")
        if wide.scope == "bus":
            return any(
                f"{one.key.gateway}#{tag[len(_BUS_TAG) :]}" == wide.subject
                and narrow.scope in ("device", "metric")
                and f"{one.key}/".startswith(narrow.subject + "/")
                for one in self._series
                for tag in one.tags
                if tag.startswith(_BUS_TAG)
            )
        return False
