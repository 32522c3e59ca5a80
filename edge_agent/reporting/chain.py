"""The way of a device's readings to its reports: totals, then averages, then report filter."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from device_profiles import Metric
from edge_agent.configuration import Aggregation, ReportFilter
from edge_agent.devices import Device
from edge_agent.reporting.averages import Kind, Window, window_end_ms
from edge_agent.reporting.report_filter import MetricFilter
from edge_agent.reporting.totals import Step, Total
from edge_agent.reporting.traffic import CLASSES, Sighting, TrafficWindow
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.samples import Sample

LATE_MS = 1000
"""A window is closed so long after its end, when the last readings in it have come."""
_TRAFFIC = {
    "flow": "vehicle_flow",
    "occupancy": "occupancy",
    "vehicles": "vehicle_count",
    "mean_speed": "vehicle_speed",
    "speed_p85": "speed_p85",
    "headway": "headway",
}


@dataclass(frozen=True, slots=True)
class Reported:
    """A metric as it is reported. ``unit`` is canonical; ``interval_ms`` 0 where it is not known."""

    name: str
    quantity: str
    unit: str
    interval_ms: int
    low: float | None = None
    high: float | None = None


def reports_vehicles(device: Device) -> bool:
    """Whether the device is a radar whose readings are single vehicles, to be put together."""
    return (
        device.configuration.aggregate is not None
        and device.profile.is_stream
        and device.profile.domain == "traffic"
        and any(m.quantity == "vehicle_speed" for m in device.metrics)
    )


def reported_metrics(device: Device) -> tuple[Reported, ...]:
    """What the device's birth announces."""
    aggregate = device.configuration.aggregate
    if aggregate is not None and reports_vehicles(device):
        return tuple(_traffic_metrics(device, aggregate))
    found = []
    for metric in device.metrics:
        low, high = metric.valid_canonical or (None, None)
        interval_ms = _interval_ms(device, metric)
        found.append(
            Reported(metric.name, metric.quantity, metric.canonical_unit, interval_ms, low, high)
        )
        if aggregate is not None:
            found += _endings(metric, aggregate)
    return tuple(found)


def _interval_ms(device: Device, metric: Metric) -> int:
    aggregate = device.configuration.aggregate
    interval_ms = device.interval_ms if aggregate is None else aggregate.every
    rule = _rule_for(device, metric.name)
    return max(interval_ms, rule.heartbeat) if rule is not None else interval_ms


def _endings(metric: Metric, aggregate: Aggregation) -> Iterable[Reported]:
    """Least, most and number; their quantity is not the metric's, or rules would take them for it."""
    kind = kind_of(metric)
    endings = {Kind.MEAN: ("/min", "/max", "/count"), Kind.ANGLE: ("/count",), Kind.LAST: ()}
    for ending in endings[kind]:
        unit = "1" if ending == "/count" else metric.canonical_unit
        yield Reported(metric.name + ending, UNKNOWN, unit, aggregate.every)


def _traffic_metrics(device: Device, aggregate: Aggregation) -> Iterable[Reported]:
    for name, quantity in _TRAFFIC.items():
        yield Reported(name, quantity, QUANTITIES[quantity].unit, aggregate.every)
    if any(m.field == "length" for m in device.metrics):
        for name, _ in CLASSES:
            yield Reported(name, "vehicle_count", "1", aggregate.every)


def kind_of(metric: Metric) -> Kind:
    """How the readings of a metric are put together."""
    quantity = QUANTITIES[metric.quantity]
    if quantity.circular:
        return Kind.ANGLE
    return Kind.LAST if quantity.cumulative or metric.quantity == "status" else Kind.MEAN


def _rule_for(device: Device, metric: str) -> ReportFilter | None:
    rules = device.configuration.report
    return rules.get(metric) or rules.get("*")


class Chain:
    """The way of one device's readings.

    ``totals`` is where the states of counters are remembered, ``on_reset`` hears of counters that
    were reset or set back: metric, last value, new value.
    """

    def __init__(
        self,
        device: Device,
        totals: dict[str, object],
        on_reset: Callable[[str, float, float], None],
    ) -> None:
        self._device = device
        self._remembered = totals
        self._on_reset = on_reset
        self._totals = {m.name: self._total(m) for m in device.metrics if _counts(m)}
        self._filters: dict[str, MetricFilter] = {}
        aggregate = device.configuration.aggregate
        self._every_ms = aggregate.every if aggregate is not None else 0
        self._ends_ms = 0
        self._windows = {m.name: Window(kind_of(m)) for m in device.metrics}
        self._traffic: TrafficWindow | None = None
        if aggregate is not None and reports_vehicles(device):
            self._traffic = self._traffic_window(aggregate)
        self._by_field = {m.name: m.field for m in device.metrics}

    @property
    def is_plain(self) -> bool:
        """Whether readings are reported as they are."""
        rules = self._device.configuration.report
        return not self._totals and not self._every_ms and not rules

    def take(self, samples: Sequence[Sample]) -> list[Sample]:
        """What to report after these readings."""
        counted = [self._count(s) for s in samples] if self._totals else list(samples)
        if not self._every_ms:
            return [s for s in counted if self._is_news(s)]
        reports: list[Sample] = []
        if counted:
            reports = self._close_until(min(s.time_ms for s in counted))
        if self._traffic is not None:
            self._see(counted)
        else:
            for sample in counted:
                if sample.value is not None:
                    self._windows[sample.metric].add(sample.value)
        return reports

    def tick(self, now_ms: int) -> list[Sample]:
        """What to report because a window has ended, whether or not anything was read."""
        return self._close_until(now_ms - LATE_MS) if self._every_ms else []

    def interrupt(self) -> None:
        """The device is gone: what is in the open window would pass for a whole one."""
        if not self._every_ms:
            return
        self._ends_ms = 0
        for window in self._windows.values():
            window.close()
        if self._traffic is not None:
            self._traffic.close()

    def _close_until(self, time_ms: int) -> list[Sample]:
        set_back = time_ms < self._ends_ms - self._every_ms - LATE_MS
        if not self._ends_ms or set_back:
            self._ends_ms = window_end_ms(time_ms, self._every_ms)
        if time_ms < self._ends_ms:
            return []
        reports = self._close(self._ends_ms)
        self._ends_ms = window_end_ms(time_ms, self._every_ms)
        return [s for s in reports if self._is_news(s)]

    def _close(self, end_ms: int) -> list[Sample]:
        if self._traffic is not None:
            figures = self._traffic.close()
            self._remembered[self._key("traffic")] = [
                self._traffic.total,
                dict(self._traffic.class_totals),
            ]
            return [Sample(name, end_ms, value) for name, value in figures.items()]
        return [
            Sample(name + ending, end_ms, value)
            for name, window in self._windows.items()
            for ending, value in window.close().items()
        ]

    def _is_news(self, sample: Sample) -> bool:
        rule = _rule_for(self._device, sample.metric)
        if rule is None:
            return True
        if sample.metric not in self._filters:
            self._filters[sample.metric] = MetricFilter(rule)
        return self._filters[sample.metric].passes(sample)

    def _count(self, sample: Sample) -> Sample:
        total = self._totals.get(sample.metric)
        if total is None or sample.value is None:
            return sample
        before = total.last
        value, step = total.take(sample.value, sample.time_ms)
        self._remembered[self._key(sample.metric)] = total.state
        if step in (Step.RESET, Step.BACK) and before is not None:
            self._on_reset(sample.metric, before, sample.value)
        return Sample(sample.metric, sample.time_ms, value, sample.flag)

    def _total(self, metric: Metric) -> Total:
        total = Total(_modulus(metric))
        total.restore(self._remembered.get(self._key(metric.name)))
        return total

    def _traffic_window(self, aggregate: Aggregation) -> TrafficWindow:
        window = TrafficWindow(
            aggregate.every, aggregate.hold, aggregate.zone_m, aggregate.vehicle_length_m
        )
        state = self._remembered.get(self._key("traffic"))
        if isinstance(state, list) and len(state) == 2 and isinstance(state[1], dict):
            window.total = float(state[0])
            window.class_totals = {str(k): float(v) for k, v in state[1].items()}
        return window

    def _see(self, samples: Iterable[Sample]) -> None:
        """Put the values of one report together again: they come one behind the other."""
        assert self._traffic is not None  # take() has seen to it
        for sighting in sightings((self._by_field[s.metric], s) for s in samples):
            self._traffic.see(sighting)

    def _key(self, name: str) -> str:
        return f"{self._device.name}/{name}"


def sightings(samples: Iterable[tuple[str, Sample]]) -> list[Sighting]:
    """The reports in a radar's samples, each sample with the name of its field.

    A report begins where a field comes again that it has already.
    """
    reports: list[dict[str, Sample]] = []
    for field, sample in samples:
        if not reports or field in reports[-1]:
            reports.append({})
        reports[-1][field] = sample
    found = []
    for report in reports:
        inbound = True if "inbound_speed" in report else None
        inbound = False if "outbound_speed" in report else inbound
        speeds = [report[f] for f in ("speed", "inbound_speed", "outbound_speed") if f in report]
        if speeds and speeds[0].value is not None:
            length = report.get("length")
            length_m = length.value if length is not None else None
            found.append(Sighting(speeds[0].time_ms, speeds[0].value, inbound, length_m))
    return found


def _counts(metric: Metric) -> bool:
    return QUANTITIES[metric.quantity].cumulative


def _modulus(metric: Metric) -> float | None:
    """Where the counter wraps around, in the canonical unit."""
    if metric.type is None or not metric.type.is_unsigned or metric.bits is not None:
        return None
    span = 2 ** (16 * metric.type.registers) * metric.scale
    return abs(metric.to_canonical(span) - metric.to_canonical(0.0))
