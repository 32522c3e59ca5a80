"""From bytes to samples, whatever pieces the bytes arrive in."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from device_profiles.linear import Finish, finisher
from device_profiles.metric import Metric
from device_profiles.streams import registry
from device_profiles.streams.wire import Fault, Reading, Wire
from telemetry.quality import Flag
from telemetry.samples import Sample

if TYPE_CHECKING:
    from device_profiles.profile import Profile


TORN_AFTER_MS = 2000
"""A frame without a checksum whose bytes pause for longer was torn: its halves do not belong together."""


class StreamDecoder:
    """Takes the bytes of one device and gives samples; re-synchronises on garbage, never raises.

    ``frames`` counts good frames, ``checksum_errors`` frames whose checksum was wrong, and
    ``resyncs`` how often the decoder had to look for the beginning of a frame.
    """

    def __init__(self, wire: Wire, metrics: Sequence[Metric], *, canonical: bool) -> None:
        self.frames = 0
        self.resyncs = 0
        self.checksum_errors = 0
        self._wire = wire
        self._scanner = wire.scanner()
        self._buffer = bytearray()
        self._last_ms = 0
        self._lost = False
        self._picks: dict[str, list[tuple[str, Finish]]] = defaultdict(list)
        for metric in metrics:
            self._picks[metric.field].append((metric.name, _finish(metric, canonical=canonical)))

    def feed(self, data: bytes, time_ms: int) -> list[Sample]:
        """The samples of all frames that ``data`` completes, all of them at ``time_ms``."""
        if self._buffer and not self._wire.checked and time_ms - self._last_ms > TORN_AFTER_MS:
            self._forget()
        self._last_ms = time_ms
        self._buffer += data
        samples: list[Sample] = []
        at = 0
        while at < len(self._buffer):
            step = self._scanner.scan(self._buffer, at)
            if step is None:
                break
            at += max(1, step.consumed)
            self._count(step.fault, good=step.reading is not None)
            if step.reading:
                self._take(step.reading, time_ms, samples)
        del self._buffer[:at]
        return samples

    def _forget(self) -> None:
        """Begin anew: what was heard of a frame is not the beginning of what comes now."""
        self._buffer.clear()
        self._scanner = self._wire.scanner()
        self._count(Fault.GARBAGE, good=False)

    def _count(self, fault: Fault | None, *, good: bool) -> None:
        if good:
            self.frames += 1
            self._lost = False
        elif fault is not None:
            self.checksum_errors += fault is Fault.CHECKSUM
            self.resyncs += not self._lost
            self._lost = True

    def _take(self, reading: Reading, time_ms: int, samples: list[Sample]) -> None:
        for field, raw in reading.items():
            for name, finish in self._picks.get(field, ()):
                value = None if raw is None else finish(raw)
                flag = Flag.MISSING if value is None else Flag.NOT_EVALUATED
                samples.append(Sample(name, time_ms, value, flag))


def decoder(profile: "Profile", *, canonical: bool = False) -> StreamDecoder:
    """A decoder for one device of this profile; it belongs to one port and keeps its state.

    Values are in each metric's unit, or with ``canonical`` in the quantity's canonical unit.
    """
    return StreamDecoder(registry.wire(profile.protocol), profile.metrics, canonical=canonical)


def _finish(metric: Metric, *, canonical: bool) -> Finish:
    scale, offset = metric.scale, metric.offset
    if canonical:
        add = metric.to_canonical(0.0)
        factor = metric.to_canonical(1.0) - add
        scale, offset = scale * factor, offset * factor + add
    return finisher(scale, offset, metric.missing, floats=True)
