"""Data messages of many gateways at once: numpy fills a template from the Sparkplug codec."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulators.signals.randomness import Float64, Int64
from telemetry.sparkplug.data_encoder import SampleEncoder, encode_batch_number, encode_data
from telemetry.sparkplug.protobuf import varint_field
from telemetry.varint import encode_varint

UInt8 = NDArray[np.uint8]
SEQUENCE: tuple[bytes, ...] = tuple(varint_field(3, seq) for seq in range(256))
"""The encoded sequence number at the end of a payload."""
# Current times and batch numbers are varints of six bytes, from 2**35 to 2**42 - 1.
_SENTINEL = 2**41
_WIDTH = 6


class DataTemplate:
    """Data messages of one device that differ only in times, values and batch number.

    A message holds all metrics at ``steps`` times, then the batch number if ``batch_alias`` is
    given. Times must lie between 1971 and 2109.
    """

    def __init__(
        self,
        aliases: Sequence[int],
        batch_alias: int | None,
        *,
        steps: int = 1,
        historical: bool = False,
    ) -> None:
        encoder = SampleEncoder(aliases)
        values = [np.float64(1e300 + 1e290 * i).tobytes() for i in range(steps * len(aliases))]
        width = len(aliases)
        body = b""
        for step in range(steps):
            moment = _SENTINEL + 3 + step
            of_step = b"".join(values[step * width : (step + 1) * width])
            body += encoder.encode(moment, of_step, historical=historical)
        if batch_alias is not None:
            body += encode_batch_number(
                _SENTINEL + 1, _SENTINEL + 2, alias=batch_alias, historical=historical
            )
        whole = encode_data(_SENTINEL, 0, body)
        whole = whole[: len(whole) - len(SEQUENCE[0])]
        self.size = len(whole)
        self._template: UInt8 = np.frombuffer(whole, dtype=np.uint8)
        self._values_at = _bytes_at([whole.index(v) for v in values], 8)
        self._times_at = np.stack(
            [_bytes_at(_all(whole, encode_varint(_SENTINEL + 3 + s)), _WIDTH) for s in range(steps)]
        )
        self._sent_at = _bytes_at(_all(whole, encode_varint(_SENTINEL)), _WIDTH)
        self._closed_at = _bytes_at(_all(whole, encode_varint(_SENTINEL + 2)), _WIDTH)
        self._batch_at = _bytes_at(_all(whole, encode_varint(_SENTINEL + 1)), _WIDTH)

    def fill(
        self, sent_ms: Int64, time_ms: Int64, values: Float64, batch: Int64 | None = None
    ) -> bytes:
        """Payloads of many gateways in sequence, each ``size`` bytes, without sequence number.

        ``sent_ms`` and ``batch`` have shape (gateways,), ``time_ms`` (gateways, steps), ``values``
        (gateways, steps, metrics). One of ``SEQUENCE`` must be appended to each.
        """
        count = len(sent_ms)
        out = np.repeat(self._template[np.newaxis], count, axis=0)
        flat = np.ascontiguousarray(values, dtype="<f8").reshape(count, -1)
        out[:, self._values_at] = flat.view(np.uint8).reshape(count, -1, 8)
        out[:, self._times_at] = _varints(time_ms)[:, :, np.newaxis, :]
        out[:, self._sent_at] = _varints(sent_ms)[:, np.newaxis]
        if batch is not None:
            out[:, self._batch_at] = _varints(batch)[:, np.newaxis]
            out[:, self._closed_at] = _varints(sent_ms)[:, np.newaxis]
        return out.tobytes()


def _varints(numbers: Int64) -> UInt8:
    shifts = np.arange(0, 7 * _WIDTH, 7, dtype=np.int64)
    out = (numbers[..., np.newaxis] >> shifts) & 0x7F
    out[..., :-1] |= 0x80
    return out.astype(np.uint8)


def _all(whole: bytes, part: bytes) -> list[int]:
    found, at = [], whole.find(part)
    while at >= 0:
        found.append(at)
        at = whole.find(part, at + len(part))
    return found


def _bytes_at(starts: list[int], width: int) -> Int64:
    return np.asarray(starts, dtype=np.int64).reshape(-1, 1) + np.arange(width)
