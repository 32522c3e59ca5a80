"""Reads all metrics of one Modbus device, and learns from what it refuses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from device_profiles import Metric
from device_profiles.modbus import BlockDecoder, block_decoder
from edge_agent.acquisition.bus_counters import DeviceCounters
from edge_agent.acquisition.lines.line import BusLost
from edge_agent.acquisition.modbus.client import Client, Exchange
from edge_agent.acquisition.modbus.outcomes import Answer, Refusal
from edge_agent.acquisition.modbus.read_plan import (
    Learned,
    Read,
    Register,
    cut_read,
    plan_reads,
    unwanted_stretches,
    with_holes,
)
from edge_agent.acquisition.modbus.requests import ExceptionCode, Request, describe_exception, read
from edge_agent.acquisition.reading import Reading
from edge_agent.clock import distinct
from edge_agent.devices import Device
from telemetry.samples import Sample

MOST_LESSONS = 16
"""The most refusals that are learned from in one turn."""
LEAST_PROBE_S = 0.05
PROBE_MARGIN = 3.0
_BUSY = (ExceptionCode.SERVER_DEVICE_BUSY, ExceptionCode.ACKNOWLEDGE)
_UNREACHABLE = (ExceptionCode.GATEWAY_PATH_UNAVAILABLE, ExceptionCode.GATEWAY_TARGET_SILENT)
"""A Modbus TCP-to-serial converter answers, but not the device behind it."""
_TEACHES = (ExceptionCode.ILLEGAL_DATA_ADDRESS, ExceptionCode.ILLEGAL_DATA_VALUE)


class TurnResult(Enum):
    """The result of one turn of a device."""

    ANSWERED = auto()
    REFUSED = auto()
    DAMAGED = auto()
    BUSY = auto()
    SILENT = auto()
    LOST = auto()
    """The line was lost during the turn."""


@dataclass(frozen=True, slots=True)
class Poll:
    """The samples of one turn, and its error. Readings made before an error are kept."""

    result: TurnResult
    samples: Sequence[Sample]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _PlannedRead:
    read: Read
    names: tuple[str, ...]
    decoder: BlockDecoder


class Poller:
    """Reads one device. ``clock`` turns a time of ``time.monotonic()`` into UTC milliseconds.

    ``on_learned`` is called with what refusals of the device have taught, to be saved.
    """

    def __init__(
        self,
        device: Device,
        counters: DeviceCounters,
        clock: Callable[[float], int],
        learned: Learned | None = None,
        on_learned: Callable[[Learned], None] | None = None,
    ) -> None:
        self.device = device
        self.counters = counters
        self.learned = learned or Learned()
        self._clock = clock
        self._on_learned = on_learned
        self._registers = registers_of(device)
        self._by_name = {m.name: m for m in device.metrics}
        self._last_ms = 0
        self._pause_s = device.pause_s
        self._timeout_s = device.timeout_s
        self.slowest_s = 0.0
        """The longest recent reaction time of the device."""
        self._requests: dict[Read, Request] = {}
        self._plan: list[_PlannedRead] = []
        self._make_plan()

    @property
    def reads(self) -> list[Read]:
        """The reads of one turn."""
        return [p.read for p in self._plan]

    def probe_s(self, failures: int, usual_s: float) -> float:
        """How long to wait for a device after ``failures`` silent turns in a row.

        If it used to answer fast, or its neighbours do (within ``usual_s``), the probe is shorter than
        its time-out, except every fourth time.
        """
        known_s = self.slowest_s or usual_s
        if failures < 2 or not known_s or failures % 4 == 0:
            return self.device.timeout_s
        return min(self.device.timeout_s, max(LEAST_PROBE_S, PROBE_MARGIN * known_s))

    async def poll(self, client: Client, timeout_s: float | None = None) -> Poll:
        """Read everything once, waiting at most ``timeout_s`` (None: its own) for each answer."""
        self._timeout_s = self.device.timeout_s if timeout_s is None else timeout_s
        readings: list[Reading] = []
        try:
            result, error = await self._read_all(client, readings)
        except BusLost as lost:
            result, error = TurnResult.LOST, str(lost)
        return Poll(result, _together(readings), error)

    async def _read_all(
        self, client: Client, readings: list[Reading]
    ) -> tuple[TurnResult, str | None]:
        """Append each reading to ``readings`` when it is made. Raises BusLost."""
        error: str | None = None
        result = TurnResult.ANSWERED
        lessons = 0
        waiting = list(reversed(self._plan))
        while waiting:
            planned = waiting.pop()
            exchange = await self._exchange(client, planned.read)
            outcome = exchange.outcome
            if isinstance(outcome, Answer):
                readings.append(self._decode(planned, outcome, exchange))
                continue
            if outcome is None:
                result, error = _no_answer(exchange, self.device)
                break
            error = describe_exception(outcome.code)
            if outcome.code in _BUSY:
                result = TurnResult.BUSY
                break
            if outcome.code in _UNREACHABLE:
                result = TurnResult.SILENT
                break
            if outcome.code in _TEACHES and outcome.certain and lessons < MOST_LESSONS:
                lessons += 1
                waiting += await self._learn(client, planned.read)
                error = self._absent_text()
                continue
            result = TurnResult.REFUSED
        if result is TurnResult.ANSWERED and not readings:
            result = TurnResult.REFUSED
        return result, error

    def _make_plan(self) -> None:
        limits, learned = self.device.profile.limits, self.learned
        wanted = [r for r in self._registers if r.name not in learned.absent]
        reads = plan_reads(
            wanted, limits.max_registers, limits.gap, learned.holes, learned.apart, learned.alone
        )
        self._plan = [self._planned(r) for r in reads]

    def _planned(self, read: Read) -> _PlannedRead:
        metrics: list[Metric] = [self._by_name[name] for name in read.metrics]
        return _PlannedRead(
            read, read.metrics, block_decoder(metrics, read.address, read.count, canonical=True)
        )

    async def _exchange(self, client: Client, wanted: Read) -> Exchange:
        """One read; after a damaged answer it is repeated once."""
        request = self._requests.get(wanted)
        if request is None:
            request = read(self.device.unit, wanted.table, wanted.address, wanted.count)
            self._requests[wanted] = request
        exchange = await client.ask(request, self._timeout_s, self._pause_s)
        self._count(exchange)
        if exchange.damaged:
            exchange = await client.ask(request, self._timeout_s, self._pause_s)
            self._count(exchange)
        return exchange

    def _count(self, exchange: Exchange) -> None:
        counts = self.counters.counts
        counts["polls"] += 1
        if isinstance(exchange.outcome, Answer):
            counts["answers"] += 1
            took_s = exchange.received_s - exchange.sent_s
            self.slowest_s = max(took_s, 0.999 * self.slowest_s)
        elif isinstance(exchange.outcome, Refusal):
            counts["exceptions"] += 1
        elif not exchange.damaged:
            counts["timeouts"] += 1

    def _decode(self, planned: _PlannedRead, answer: Answer, exchange: Exchange) -> Reading:
        time_ms = distinct(self._clock(exchange.middle_s), self._last_ms)
        self._last_ms = time_ms
        return Reading(planned.names, time_ms, planned.decoder.decode(answer.pdu[2:]))

    async def _learn(self, client: Client, refused: Read) -> list[_PlannedRead]:
        """Make a new plan around what the device refuses; returns the reads that replace ``refused``."""
        holes = []
        for stretch in unwanted_stretches(refused, self._registers):
            exchange = await self._exchange(client, stretch)
            outcome = exchange.outcome
            if isinstance(outcome, Refusal) and outcome.certain and outcome.code in _TEACHES:
                holes.append(stretch)
        if holes:
            self.learned = with_holes(self.learned, holes)
        else:
            self.learned = cut_read(refused, self._registers, self.learned)
        self._make_plan()
        if self._on_learned is not None:
            self._on_learned(self.learned)
        again = set(refused.metrics)
        return [p for p in reversed(self._plan) if again.issuperset(p.names)]

    def _absent_text(self) -> str | None:
        if not self.learned.absent:
            return None
        return f"the device has no {', '.join(sorted(self.learned.absent))} (illegal data address)"


def _together(readings: Sequence[Reading]) -> Sequence[Sample]:
    if len(readings) == 1:
        return readings[0]
    return tuple(sample for reading in readings for sample in reading)


def _no_answer(exchange: Exchange, device: Device) -> tuple[TurnResult, str]:
    if exchange.damaged:
        return (
            TurnResult.DAMAGED,
            "the answer cannot be read (check wiring, termination, baud rate, parity)",
        )
    return TurnResult.SILENT, f"no answer within {device.timeout_s * 1000:g} ms"


def registers_of(device: Device) -> list[Register]:
    """The registers of the metrics of a Modbus device."""
    return [
        Register(m.name, m.table, m.address, m.register_count)
        for m in device.metrics
        if m.address is not None
    ]
