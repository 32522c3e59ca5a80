"""Decodes a stream of bytes into samples, whatever pieces it arrives in."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from device_profiles.linear import ToValue, value_converter
from device_profiles.metric import Metric
from device_profiles.streams import registry
from device_profiles.streams.wire import DiscardReason, FieldValues, Wire
from telemetry.quality import Flag
from telemetry.samples import Sample

if TYPE_CHECKING:
    from device_profiles.profile import Profile


TORN_AFTER_MS = 2000
"""A longer pause inside a frame without a checksum means that its two parts do not belong together."""


class StreamDecoder:
    """Decodes the bytes of one device; it resynchronises after garbage and never raises.

    ``frames`` counts valid frames, ``checksum_errors`` frames with a wrong checksum, ``resyncs``
    the times when the decoder had to search for the beginning of a frame.
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
        self._converters: dict[str, list[tuple[str, ToValue]]] = defaultdict(list)
        for metric in metrics:
            self._converters[metric.field].append(
                (metric.name, _converter(metric, canonical=canonical))
            )

    def feed(self, data: bytes, time_ms: int) -> list[Sample]:
        """The samples of all frames that ``data`` completes, with the time ``time_ms``."""
        if self._buffer and not self._wire.checked and time_ms - self._last_ms > TORN_AFTER_MS:
            self._restart()
        self._last_ms = time_ms
        self._buffer += data
        samples: list[Sample] = []
        at = 0
        while at < len(self._buffer):
            step = self._scanner.scan(self._buffer, at)
            if step is None:
                break
            at += max(1, step.consumed)
            self._count(step.discarded, good=step.values is not None)
            if step.values:
                self._take(step.values, time_ms, samples)
        del self._buffer[:at]
        return samples

    def _restart(self) -> None:
        """Discard the part of a frame that is in the buffer."""
        self._buffer.clear()
        self._scanner = self._wire.scanner()
        self._count(DiscardReason.GARBAGE, good=False)

    def _count(self, discarded: DiscardReason | None, *, good: bool) -> None:
        if good:
            self.frames += 1
            self._lost = False
        elif discarded is not None:
            self.checksum_errors += discarded is DiscardReason.CHECKSUM
            self.resyncs += not self._lost
            self._lost = True

    def _take(self, values: FieldValues, time_ms: int, samples: list[Sample]) -> None:
        for field, raw in values.items():
            for name, convert in self._converters.get(field, ()):
                value = None if raw is None else convert(raw)
                flag = Flag.MISSING if value is None else Flag.NOT_EVALUATED
                samples.append(Sample(name, time_ms, value, flag))


def decoder(profile: "Profile", *, canonical: bool = False) -> StreamDecoder:
    """A decoder for one device of this profile; it holds the state of one port.

    Values are in the unit of each metric, or with ``canonical`` in canonical units.
    """
    return StreamDecoder(registry.wire(profile.protocol), profile.metrics, canonical=canonical)


def _converter(metric: Metric, *, canonical: bool) -> ToValue:
    scale, offset = metric.scale, metric.offset
    if canonical:
        add = metric.to_canonical(0.0)
        factor = metric.to_canonical(1.0) - add
        scale, offset = scale * factor, offset * factor + add
    return value_converter(scale, offset, metric.missing, floats=True)
