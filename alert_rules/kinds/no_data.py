"""No data: a series from which nothing has come for longer than it should.

Silence has a shape. While running, the widest thing that explains it (broker, gateway, bus,
device, metric) is what is silent; looking back over history, each series is judged alone.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from alert_rules.evaluator import (
    Evaluator,
    RuleKind,
    SortedSamples,
    State,
    Verdicts,
    group_starts,
    grown,
)
from alert_rules.rule import Rule
from telemetry.batches import Bool, Int32, Int64
from telemetry.durations import DurationMs
from telemetry.series import Series

FOR_EVER_MS = 10**14
"""The patience with something of which nothing is expected."""


class Scope(IntEnum):
    """How much is silent, from one metric to everything."""

    METRIC = 0
    DEVICE = 1
    BUS = 2
    GATEWAY = 3
    BROKER = 4


class NoDataRule(Rule):
    """Nothing came for ``intervals`` of the series' own interval, and for ``at_least``.

    Series without a known interval (a radar that speaks when a vehicle comes) are judged only
    where ``without_interval`` says how long they may be silent, or by their device's death.
    """

    kind: Literal["no_data"]
    intervals: Annotated[float, Field(gt=0)] = 5
    at_least: DurationMs = 60_000
    without_interval: DurationMs | None = None

    def limit_ms(self, interval_ms: Int64) -> Int64:
        """How long each series may be silent."""
        otherwise = FOR_EVER_MS if self.without_interval is None else self.without_interval
        expected = (interval_ms * self.intervals).astype(np.int64)
        return np.maximum(np.where(interval_ms > 0, expected, otherwise), self.at_least)


class NoDataEvaluator(Evaluator):
    """Finds pauses between samples: true from the end of patience to the next sample."""

    def __init__(self, rule: NoDataRule) -> None:
        super().__init__()
        self._rule = rule
        self._last_ms = np.empty(0, np.int64)

    def watches(self, series: Series) -> bool:
        """Every selected series."""
        return self._rule.select.matches(series)

    def grow(self, size: int) -> None:
        """Make room for ``size`` rows."""
        self._last_ms = grown(self._last_ms, size, 0)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Missing data is the subject here; it stops no clock."""
        del given_ms
        return np.full(len(self.index), np.iinfo(np.int64).max // 2, np.int64)

    def evaluate(self, samples: SortedSamples) -> Verdicts:
        """True when patience ended before the next sample came, false at that sample."""
        row, chosen = self.index.select(samples)
        time_ms = samples.time_ms if chosen is None else samples.time_ms[chosen]
        if not len(row):
            return Verdicts.empty()
        first = group_starts(row)
        before = np.empty_like(time_ms)
        before[1:] = time_ms[:-1]
        before[first] = self._last_ms[row[first]]
        limit = self._rule.limit_ms(self.index.interval_ms)[row]
        silent = (before > 0) & (time_ms - before > limit)
        last = np.append(first[1:], True)
        self._last_ms[row[last]] = time_ms[last]
        at = np.flatnonzero(silent)
        entry = np.concatenate([at, np.arange(len(row))])
        when = np.concatenate([(before + limit)[at], time_ms])
        level = np.zeros(len(entry), np.int8)
        level[: len(at)] = 1
        silence_s = np.concatenate([limit[at], np.zeros(len(row), np.int64)]) / 1000.0
        order = np.lexsort((when, row[entry]))
        return Verdicts(row[entry][order], when[order], level[order], silence_s[order])

    def state(self) -> State:
        """When the newest sample of each row was."""
        return {"last_ms": self._last_ms}

    def restore(self, state: State) -> None:
        """Go on from a state."""
        source = state.get("last_ms")
        if source is not None:
            self._last_ms[: len(source)] = source[: len(self._last_ms)]


KIND = RuleKind(NoDataRule, NoDataEvaluator)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where each series hangs: dense numbers of its device, bus and gateway.

    ``bus_of_device`` and ``gateway_of_device`` are by device number; bus -1: not known.
    """

    device: Int32
    bus_of_device: Int32
    gateway_of_device: Int32


@dataclass(frozen=True, slots=True, eq=False)
class Quiet:
    """For each of some things: how long it has been quiet, its patience, and whether that is over."""

    quiet_ms: Int64
    limit_ms: Int64
    silent: Bool

    def shows_life_after(self, number: Int32, quiet_ms: Int64, limit_ms: Int64) -> Bool:
        """Whether each thing was heard clearly later than a part of it fell silent.

        Without that, the silence of a part may be the first sign of the silence of the whole.
        """
        return quiet_ms - self.quiet_ms[number] >= limit_ms // 2


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """What is silent at one moment, at every scope."""

    series: Quiet
    device: Quiet
    bus: Quiet
    gateway: Quiet
    broker: bool

    def widest(self, places: Places) -> NDArray[np.int8]:
        """For each overdue series the widest Scope that explains it.

        -1: not overdue, or so soon after everything around it that the next moments must tell.
        """
        device = places.device
        gateway = places.gateway_of_device[device]
        scope = np.full(len(device), -1, np.int8)
        metric = self.device.shows_life_after(device, self.series.quiet_ms, self.series.limit_ms)
        scope[metric] = Scope.METRIC
        around = self.gateway.shows_life_after(
            gateway, self.device.quiet_ms[device], self.device.limit_ms[device]
        )
        whole = self.device.silent[device]
        scope[whole] = np.where(around[whole], Scope.DEVICE, -1)
        at = np.flatnonzero(places.bus_of_device[device] >= 0)
        at = at[self.bus.silent[places.bus_of_device[device[at]]]]
        scope[at] = np.where(around[at], Scope.BUS, -1)
        scope[self.gateway.silent[gateway]] = Scope.GATEWAY
        if self.broker:
            scope[:] = Scope.BROKER
        scope[~self.series.silent] = -1
        return scope


def find_stale(
    now_ms: int, last_ms: Int64, limit_ms: Int64, places: Places, *, broker_online: bool = True
) -> Silence:
    """Say what is silent at ``now_ms``.

    A device (bus, gateway) is silent as a whole when nothing at all has come from it for the
    shortest patience among its series. A bus is told from its device when it has several.
    ``last_ms`` 0 means never heard: such a series is not judged.
    """
    known = last_ms > 0
    quiet_ms = np.where(known, now_ms - last_ms, 0)
    series = Quiet(quiet_ms, limit_ms, known & (quiet_ms > limit_ms))
    devices = len(places.bus_of_device)
    device, _ = _whole(places.device[known], quiet_ms[known], limit_ms[known], devices)
    there = device.limit_ms < _ENDLESS
    on_bus = there & (places.bus_of_device >= 0)
    bus, members = _whole(
        places.bus_of_device[on_bus], device.quiet_ms[on_bus], device.limit_ms[on_bus],
        int(places.bus_of_device.max(initial=-1)) + 1,
    )  # fmt: skip
    bus.silent[members < 2] = False
    gateway, _ = _whole(
        places.gateway_of_device[there], device.quiet_ms[there], device.limit_ms[there],
        int(places.gateway_of_device.max(initial=-1)) + 1,
    )  # fmt: skip
    return Silence(series, device, bus, gateway, not broker_online)


_ENDLESS = np.iinfo(np.int64).max // 4


def _whole(group: Int32, quiet_ms: Int64, limit_ms: Int64, size: int) -> tuple[Quiet, Int64]:
    """By group the shortest silence and patience, and the number of members."""
    quiet = np.full(size, _ENDLESS, np.int64)
    limit = np.full(size, _ENDLESS, np.int64)
    np.minimum.at(quiet, group, quiet_ms)
    np.minimum.at(limit, group, limit_ms)
    members = np.bincount(group, minlength=size).astype(np.int64)
    return Quiet(quiet, limit, (members > 0) & (quiet > limit)), members
