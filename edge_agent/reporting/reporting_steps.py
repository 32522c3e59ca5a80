"""From the readings of a device to its reports: totals, then aggregation, then report filter."""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_profiles import Metric
from edge_agent.configuration import Aggregation, ReportFilter
from edge_agent.devices import Device
from edge_agent.reporting.averages import Kind, Window, window_end_ms
from edge_agent.reporting.coverage import COMPLETE_SHARE, Coverage
from edge_agent.reporting.report_filter import MetricFilter
from edge_agent.reporting.totals import Step, Total
from edge_agent.reporting.traffic import CLASSES, Sighting, TrafficWindow
from telemetry.quality import Flag
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.samples import Sample

LATE_MS = 1000
"""A window is closed this long after its end, when its last readings have arrived."""
COMPLETENESS = "completeness"
"""The metric with the share of a window during which the device was heard, in %."""
_LEAST_HEARD = 0.01
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
    """A metric as it is reported. ``unit`` is canonical; ``interval_ms`` is 0 if unknown."""

    name: str
    quantity: str
    unit: str
    interval_ms: int
    low: float | None = None
    high: float | None = None


def reports_vehicles(device: Device) -> bool:
    """Whether the device is a radar that reports single vehicles, to be aggregated."""
    return (
        device.configuration.aggregate is not None
        and device.profile.is_stream
        and device.profile.domain == "traffic"
        and any(m.quantity == "vehicle_speed" for m in device.metrics)
    )


def reported_metrics(device: Device) -> tuple[Reported, ...]:
    """The metrics that the birth of the device announces."""
    aggregate = device.configuration.aggregate
    if aggregate is not None and reports_vehicles(device):
        return (*_traffic_metrics(device, aggregate), _completeness(aggregate))
    found = []
    for metric in device.metrics:
        low, high = metric.valid_canonical or (None, None)
        interval_ms = _interval_ms(device, metric)
        found.append(
            Reported(metric.name, metric.quantity, metric.canonical_unit, interval_ms, low, high)
        )
        if aggregate is not None:
            found += _companion_metrics(metric, aggregate)
    if aggregate is not None:
        found.append(_completeness(aggregate))
    return tuple(found)


def _completeness(aggregate: Aggregation) -> Reported:
    return Reported(COMPLETENESS, UNKNOWN, "%", aggregate.every, 0.0, 100.0)


def _interval_ms(device: Device, metric: Metric) -> int:
    aggregate = device.configuration.aggregate
    interval_ms = device.interval_ms if aggregate is None else aggregate.every
    report_filter = _filter_for(device, metric.name)
    return max(interval_ms, report_filter.heartbeat) if report_filter is not None else interval_ms


def _companion_metrics(metric: Metric, aggregate: Aggregation) -> Iterable[Reported]:
    """Minimum, maximum and count. Their quantity is unknown, so that no rule takes them for the value."""
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
    """How the readings of a metric are aggregated."""
    quantity = QUANTITIES[metric.quantity]
    if quantity.circular:
        return Kind.ANGLE
    return Kind.LAST if quantity.cumulative or metric.quantity == "status" else Kind.MEAN


def _filter_for(device: Device, metric: str) -> ReportFilter | None:
    filters = device.configuration.report
    return filters.get(metric) or filters.get("*")


class ReportingSteps:
    """Turns the readings of one device into reports.

    ``totals`` holds the saved states of counters. ``on_reset`` is called with metric, last value and
    new value of a counter that was reset or set back. ``open_window`` is what
    ``open_window`` of earlier steps of this device returned; that window then continues.
    """

    def __init__(
        self,
        device: Device,
        totals: dict[str, object],
        on_reset: Callable[[str, float, float], None],
        open_window: str | None = None,
    ) -> None:
        self._device = device
        self._saved_totals = totals
        self._on_reset = on_reset
        self._totals = {m.name: self._total(m) for m in device.metrics if _is_counter(m)}
        self._filters: dict[str, MetricFilter] = {}
        self._by_field = {m.name: m.field for m in device.metrics}
        aggregate = device.configuration.aggregate
        self._every_ms = aggregate.every if aggregate is not None else 0
        self._ends_ms = 0
        self._coverage = Coverage()
        self._windows = {m.name: Window(kind_of(m)) for m in device.metrics}
        self._traffic: TrafficWindow | None = None
        if aggregate is not None and reports_vehicles(device):
            self._traffic = TrafficWindow(
                aggregate.every, aggregate.hold, aggregate.zone_m, aggregate.vehicle_length_m
            )
        if open_window is not None and self._every_ms:
            # The state of another version of the agent cannot be used.
            with contextlib.suppress(KeyError, TypeError, ValueError):
                self._restore(json.loads(open_window))

    @property
    def passes_unchanged(self) -> bool:
        """Whether readings are reported unchanged."""
        filters = self._device.configuration.report
        return not self._totals and not self._every_ms and not filters

    def take(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples to report after these readings."""
        counted = [self._add_to_total(s) for s in samples] if self._totals else list(samples)
        if not self._every_ms:
            return [s for s in counted if self._is_news(s)]
        reports: list[Sample] = []
        if counted:
            first_ms = min(s.time_ms for s in counted)
            reports = self._close_until(first_ms)
            self._coverage.resume(first_ms)
        if self._traffic is not None:
            self._add_sightings(counted)
        else:
            for sample in counted:
                if sample.value is not None:
                    self._windows[sample.metric].add(sample.value)
        return reports

    def tick(self, now_ms: int) -> list[Sample]:
        """The samples to report because a window has ended."""
        return self._close_until(now_ms - LATE_MS) if self._every_ms else []

    def resume(self, now_ms: int) -> None:
        """The device answers."""
        self._coverage.resume(now_ms)

    def interrupt(self, now_ms: int) -> None:
        """The device no longer answers, or is replaced."""
        self._coverage.pause(now_ms)

    def open_window(self, now_ms: int) -> str | None:
        """The state with which later steps continue the open window; None without aggregation."""
        if not self._every_ms:
            return None
        state: dict[str, Any] = {
            "every_ms": self._every_ms,
            "ends_ms": self._ends_ms,
            "heard_ms": self._coverage.until(now_ms),
            "windows": {name: w.state for name, w in self._windows.items() if w.count},
        }
        if self._traffic is not None:
            state["traffic"] = self._traffic.state
        return json.dumps(state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        if self._traffic is not None and "traffic" in state:
            self._traffic.restore(state["traffic"])
        if state["every_ms"] != self._every_ms:
            return  # its readings belong to windows of another length
        self._ends_ms, self._coverage.heard_ms = state["ends_ms"], state["heard_ms"]
        for name, window in state["windows"].items():
            if name in self._windows:
                self._windows[name].restore(window)

    def _close_until(self, time_ms: int) -> list[Sample]:
        set_back = time_ms < self._ends_ms - self._every_ms - LATE_MS
        reports: list[Sample] = []
        if self._ends_ms and (set_back or time_ms >= self._ends_ms):
            reports = [s for s in self._close(self._ends_ms) if self._is_news(s)]
            self._ends_ms = 0
        if not self._ends_ms:
            self._ends_ms = window_end_ms(time_ms, self._every_ms)
        return reports

    def _close(self, end_ms: int) -> list[Sample]:
        heard = self._coverage.close(end_ms, self._every_ms)
        figures = self._figures(heard)
        if not figures:
            return []
        flag = Flag.SUSPECT if heard < COMPLETE_SHARE else Flag.NOT_EVALUATED
        reports = [Sample(name, end_ms, value, flag) for name, value in figures.items()]
        return [*reports, Sample(COMPLETENESS, end_ms, round(100 * heard, 1))]

    def _figures(self, heard: float) -> Mapping[str, float]:
        if self._traffic is not None:
            nothing_heard = heard <= 0 and self._traffic.is_empty
            return {} if nothing_heard else self._traffic.close(max(heard, _LEAST_HEARD))
        return {
            name + ending: value
            for name, window in self._windows.items()
            for ending, value in window.close().items()
        }

    def _is_news(self, sample: Sample) -> bool:
        report_filter = _filter_for(self._device, sample.metric)
        if report_filter is None:
            return True
        if sample.metric not in self._filters:
            self._filters[sample.metric] = MetricFilter(report_filter)
        return self._filters[sample.metric].passes(sample)

    def _add_to_total(self, sample: Sample) -> Sample:
        total = self._totals.get(sample.metric)
        if total is None or sample.value is None:
            return sample
        before = total.last
        value, step = total.take(sample.value, sample.time_ms)
        self._saved_totals[self._key(sample.metric)] = total.state
        if step in (Step.RESET, Step.BACK) and before is not None:
            self._on_reset(sample.metric, before, sample.value)
        return Sample(sample.metric, sample.time_ms, value, sample.flag)

    def _total(self, metric: Metric) -> Total:
        total = Total(_modulus(metric))
        total.restore(self._saved_totals.get(self._key(metric.name)))
        return total

    def _add_sightings(self, samples: Iterable[Sample]) -> None:
        """Rebuild the radar's reports from the single samples."""
        assert self._traffic is not None  # take() checks it
        for sighting in sightings((self._by_field[s.metric], s) for s in samples):
            self._traffic.see(sighting)

    def _key(self, name: str) -> str:
        return f"{self._device.name}/{name}"


def sightings(samples: Iterable[tuple[str, Sample]]) -> list[Sighting]:
    """The reports of a radar, rebuilt from its samples with their field names.

    A new report begins when a field repeats.
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


def _is_counter(metric: Metric) -> bool:
    return QUANTITIES[metric.quantity].cumulative


def _modulus(metric: Metric) -> float | None:
    """Where the counter wraps around, in the canonical unit."""
    if metric.type is None or not metric.type.is_unsigned or metric.bits is not None:
        return None
    span = 2 ** (16 * metric.type.registers) * metric.scale
    return abs(metric.to_canonical(span) - metric.to_canonical(0.0))
