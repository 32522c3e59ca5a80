"""Output of a running simulation: a live table on a terminal, otherwise lines; a summary."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from quantrac.console import counted
from simulators.fleets.fleet import Fleet
from simulators.fleets.published import PublishedStations
from simulators.scenarios.model import Scenario
from simulators.simulation import Simulation

_MOST_ROWS = 40


class Progress:
    """A context manager around a running scenario: stations on buses, a fleet, or both."""

    def __init__(
        self,
        scenario: Scenario,
        simulation: Simulation | None,
        fleet: Fleet | None,
        published: PublishedStations | None = None,
    ) -> None:
        self._published = published
        self._scenario = scenario
        self._simulation = simulation
        self._fleet = fleet
        self._console = Console(file=sys.stdout)
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        else:
            sys.stdout.write("\n".join(self._opening_lines()) + "\n")
            sys.stdout.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self) -> None:
        """Show the current state."""
        if self._live is not None:
            self._live.update(Group(*self._display()), refresh=True)

    def summary(self, seconds: float) -> str:
        """The counters of the run as text."""
        lines = [f"Stopped after {seconds:.0f} s."]
        if self._published is not None:
            lines += _published_summary(self._published, seconds)
        elif self._simulation is not None:
            lines += _wire_summary(self._simulation)
        if self._fleet is not None:
            lines += _fleet_summary(self._fleet, seconds)
        return "\n".join(lines)

    def _opening_lines(self) -> Iterator[str]:
        name = self._scenario.scenario
        if self._published is not None:
            yield (
                f"Simulating {name}: {len(self._published.stations)} stations that publish "
                "straight to the broker. Ctrl-C stops."
            )
        elif self._simulation is not None:
            buses = self._simulation.buses
            yield (
                f"Simulating {name}: {counted(len(self._simulation.stations), 'station')}, "
                f"{counted(len(buses), 'bus', 'buses')}. Ctrl-C stops."
            )
            for bus in buses:
                devices = ", ".join(d.name for d in bus.bus.devices)
                yield f"  {bus.station.gateway} {bus.bus.name}: {bus.where} ({devices})"
        if self._fleet is not None:
            model = self._fleet.model
            yield (
                f"Simulating {name}: {model.gateways:,} gateways x {model.metrics} metrics. "
                "Ctrl-C stops."
            )

    def _display(self) -> Iterator[RenderableType]:
        yield Text(self._scenario.title, style="bold")
        if self._simulation is not None:
            yield self._clock(self._simulation)
        if self._published is not None:
            yield _published_table(self._published)
        elif self._simulation is not None:
            yield _bus_table(self._simulation)
        if self._fleet is not None:
            yield _fleet_table(self._fleet)

    def _clock(self, simulation: Simulation) -> Text:
        zone = timezone(timedelta(hours=self._scenario.utc_offset_h))
        now_s = simulation.clock.now_ms() / 1000.0
        local = datetime.fromtimestamp(now_s, UTC).astimezone(zone)
        episodes = simulation.world.episodes
        happening = [e.name for e in episodes if e.start_s <= now_s <= e.end_s]
        return Text(
            f"{local:%Y-%m-%d %H:%M:%S}  x{simulation.clock.speed:g}  {', '.join(happening)}"
        )


def _bus_table(simulation: Simulation) -> Table:
    table = Table("gateway", "bus", "where", box=None, padding=(0, 1))
    for name in ("requests", "answers", "frames", "damaged"):
        table.add_column(name, justify="right")
    for bus in simulation.buses[:_MOST_ROWS]:
        t = bus.counters
        table.add_row(
            bus.station.gateway, bus.bus.name, bus.where,
            f"{t.requests:,}", f"{t.answers:,}", f"{t.frames:,}", f"{t.damaged:,}",
        )  # fmt: skip
    return table


def _fleet_table(fleet: Fleet) -> Table:
    table = Table("online", "messages", "measured", box=None, padding=(0, 1))
    for name in ("confirmed", "waiting", "sent again", "evicted", "connections lost"):
        table.add_column(name, justify="right")
    c = fleet.counts
    table.add_row(
        f"{fleet.online:,}/{fleet.capacity:,}", f"{c.messages:,}", f"{c.measured:,}",
        f"{c.confirmed:,}", f"{fleet.backlog:,}", f"{c.sent_again:,}", f"{c.evicted:,}",
        f"{c.connections_lost:,}",
    )  # fmt: skip
    return table


def _wire_summary(simulation: Simulation) -> Iterator[str]:
    counters = [b.counters for b in simulation.buses]
    yield (
        f"On the wire: {sum(t.requests for t in counters):,} requests, "
        f"{sum(t.answers for t in counters):,} answers "
        f"({sum(t.damaged for t in counters):,} damaged on purpose, "
        f"{sum(t.refused for t in counters):,} refused), "
        f"{sum(t.frames for t in counters):,} frames, {simulation.values_answered:,} values answered."
    )
    not_understood = sum(t.not_understood for t in counters)
    if not_understood:
        yield f"{not_understood:,} times bytes were heard that no device understood."


def _published_table(published: PublishedStations) -> Table:
    table = Table("up to (UTC)", "messages", "measured", box=None, padding=(0, 1))
    for name in ("confirmed", "waiting", "sent again"):
        table.add_column(name, justify="right")
    c = published.counts
    reached = datetime.fromtimestamp(published.reached_ms / 1000.0, UTC)
    table.add_row(
        f"{reached:%Y-%m-%d %H:%M}", f"{c.messages:,}", f"{c.measured:,}", f"{c.confirmed:,}",
        f"{published.backlog:,}", f"{c.sent_again:,}",
    )  # fmt: skip
    return table


def _published_summary(published: PublishedStations, seconds: float) -> Iterator[str]:
    c = published.counts
    hours = (published.reached_ms - published.clock.start_ms) / 3_600_000.0
    yield (
        f"Published: {hours:,.1f} simulated hours of {len(published.stations)} stations, "
        f"{c.measured:,} samples ({c.measured / max(seconds, 0.001):,.0f}/s), "
        f"{c.confirmed:,} confirmed, {published.backlog:,} waiting, {c.sent_again:,} sent again."
    )


def _fleet_summary(fleet: Fleet, seconds: float) -> Iterator[str]:
    c = fleet.counts
    yield (
        f"Fleet: {c.messages:,} messages ({c.messages / max(seconds, 0.001):,.0f}/s), "
        f"{c.measured:,} samples measured, {c.births:,} births ({c.rebirths:,} asked for), "
        f"{c.connects:,} connections ({c.connections_lost:,} ended, {c.refused:,} refused)."
    )
    if not c.connects:
        yield f"No gateway could connect to the broker at {fleet.broker}."
    elif not c.births and fleet.nodes[0].host is not None:
        yield (
            f"No gateway was born: no host {fleet.nodes[0].host!r} said on the broker that it is "
            "there (quantrac cloud run; or host: null in the scenario)."
        )
    if fleet.model.acknowledged:
        yield (
            f"Confirmed: {c.confirmed:,} samples; {fleet.backlog:,} still waiting, "
            f"{c.evicted:,} evicted, {c.sent_again:,} reports sent again, "
            f"{c.lost_on_purpose:,} lost on purpose."
        )
