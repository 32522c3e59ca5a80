"""Sensirion SPS30 dust sensor over UART (SHDLC, 115,200 8N1).

A frame is between two ``7E``; ``7D`` escapes the bytes 11, 13, 7D and 7E inside. The sensor must be
started (``7E 00 00 02 01 03 F9 7E``) and is read with ``7E 00 03 00 FC 7E``.
"""

import math
import struct
from collections.abc import Mapping

from device_profiles.streams.checksums import inverted_sum8
from device_profiles.streams.wire import DiscardReason, FieldValues, ScanStep, Wire

_EDGE, _ESCAPE = 0x7E, 0x7D
_ESCAPED = {0x5E: 0x7E, 0x5D: 0x7D, 0x31: 0x11, 0x33: 0x13}
_PLAIN = {v: k for k, v in _ESCAPED.items()}
_LONGEST = 140
_READ_VALUES = 0x03
_NAMES = (
    "pm1", "pm2_5", "pm4", "pm10", "particles_0_5", "particles_1", "particles_2_5",
    "particles_4", "particles_10", "typical_size",
)  # fmt: skip
_VALUES = struct.Struct(">10f")


class ShdlcScanner:
    """Cuts the stream into frames between two ``7E``."""

    def scan(self, buffer: bytearray, at: int) -> ScanStep | None:
        """See Scanner."""
        if buffer[at] != _EDGE:
            start = buffer.find(_EDGE, at)
            end = len(buffer) if start < 0 else start
            return ScanStep(end - at, discarded=DiscardReason.GARBAGE)
        stop = buffer.find(_EDGE, at + 1, at + _LONGEST)
        if stop < 0:
            return (
                ScanStep(1, discarded=DiscardReason.GARBAGE)
                if len(buffer) - at >= _LONGEST
                else None
            )
        if stop == at + 1:
            return ScanStep(1)
        decoded = _decode_frame(bytes(buffer[at + 1 : stop]))
        if isinstance(decoded, DiscardReason):
            # The last 7E may be the first of the next frame.
            return ScanStep(stop - at, discarded=decoded)
        return ScanStep(stop - at + 1, values=decoded)


def _decode_frame(stuffed: bytes) -> FieldValues | DiscardReason:
    frame = bytearray()
    escaped = False
    for byte in stuffed:
        if escaped and byte not in _ESCAPED:
            return DiscardReason.GARBAGE
        if byte == _ESCAPE and not escaped:
            escaped = True
            continue
        frame.append(_ESCAPED[byte] if escaped else byte)
        escaped = False
    if escaped or len(frame) < 5:
        return DiscardReason.GARBAGE
    if inverted_sum8(bytes(frame[:-1])) != frame[-1]:
        return DiscardReason.CHECKSUM
    if len(frame) != frame[3] + 5:
        return DiscardReason.GARBAGE
    data = bytes(frame[4:-1])
    if frame[1] != _READ_VALUES or frame[2] & 0x7F or len(data) != _VALUES.size:
        return {}
    values = zip(_NAMES, _VALUES.unpack(data), strict=True)
    return {name: value if math.isfinite(value) else None for name, value in values}


def _encode(fields: Mapping[str, float]) -> bytes:
    data = _VALUES.pack(*(fields.get(name, 0.0) for name in _NAMES))
    frame = bytes((0, _READ_VALUES, 0, len(data))) + data
    frame += bytes((inverted_sum8(frame),))
    stuffed = b"".join(
        bytes((_ESCAPE, _PLAIN[byte])) if byte in _PLAIN else bytes((byte,)) for byte in frame
    )
    return bytes((_EDGE,)) + stuffed + bytes((_EDGE,))


WIRE = Wire(
    fields={
        **dict.fromkeys(_NAMES[:4], "ug/m3"),
        **dict.fromkeys(_NAMES[4:9], "1"),
        "typical_size": "1",
    },
    scanner=ShdlcScanner,
    encode=_encode,
    about="Sensirion SPS30 dust sensor (SHDLC)",
)
