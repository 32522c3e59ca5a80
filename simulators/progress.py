"""What a running simulation shows: a live table on a terminal, a line otherwise, a summary."""

import sys
from datetime import UTC, datetime, timedelta, timezone
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from simulators.scenarios.model import Scenario
from simulators.simulation import Simulation


class Progress:
    """A context manager around a running simulation."""

    def __init__(self, scenario: Scenario, simulation: Simulation) -> None:
        self._scenario = scenario
        self._simulation = simulation
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
            buses = len(self._simulation.buses)
            sys.stdout.write(
                f"Simulating {self._scenario.scenario}: {len(self._simulation.stations)} stations, "
                f"{buses} buses. Ctrl-C stops.\n"
            )
            for bus in self._simulation.buses:
                devices = ", ".join(d.name for d in bus.bus.devices)
                sys.stdout.write(
                    f"  {bus.station.gateway} {bus.bus.name}: {bus.where} ({devices})\n"
                )
            sys.stdout.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self) -> None:
        """Show the state of this moment."""
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)

    def summary(self, seconds: float) -> str:
        """What happened, in a line for each kind of traffic."""
        traffic = [b.traffic for b in self._simulation.buses]
        requests, frames = sum(t.requests for t in traffic), sum(t.frames for t in traffic)
        head = (
            f"Stopped after {seconds:.0f} s: {requests:,} requests, "
            f"{sum(t.answers for t in traffic):,} answers "
            f"({sum(t.spoilt for t in traffic):,} spoilt on purpose, "
            f"{sum(t.refused for t in traffic):,} refused), {frames:,} frames, "
            f"{self._simulation.served:,} values served."
        )
        lines = [head]
        unheard = sum(t.unheard for t in traffic)
        if unheard:
            lines.append(f"{unheard:,} times bytes were heard that no device understood.")
        return "\n".join(lines)

    def _picture(self) -> Group:
        zone = timezone(timedelta(hours=self._scenario.utc_offset_h))
        now_ms = self._simulation.clock.now_ms()
        clock = datetime.fromtimestamp(now_ms / 1000.0, UTC).astimezone(zone)
        head = Text.assemble(
            (self._scenario.title, "bold"),
            f"  {clock:%Y-%m-%d %H:%M:%S}  x{self._simulation.clock.speed:g}  ",
            ", ".join(self._happening(now_ms / 1000.0)) or "",
        )
        table = Table("gateway", "bus", "where", box=None, padding=(0, 1))
        for name in ("requests", "answers", "frames", "spoilt"):
            table.add_column(name, justify="right")
        for bus in self._simulation.buses[:40]:
            t = bus.traffic
            table.add_row(
                bus.station.gateway, bus.bus.name, bus.where,
                f"{t.requests:,}", f"{t.answers:,}", f"{t.frames:,}", f"{t.spoilt:,}",
            )  # fmt: skip
        return Group(head, table)

    def _happening(self, now_s: float) -> list[str]:
        return [e.name for e in self._simulation.world.episodes if e.start_s <= now_s <= e.end_s]
