"""Scanners that cut a stream into frames: header and length, lines of text, STX and ETX."""

from collections.abc import Callable

from device_profiles.streams.wire import DiscardReason, FieldValues, ScanStep

FrameDecoder = Callable[[bytes], FieldValues | DiscardReason]
"""Gives the values of a whole frame, or why it is invalid."""


class HeaderScanner:
    """Binary frames with a fixed header and a length that follows from their first bytes.

    ``headers`` are the possible headers. ``length`` gets the first ``prefix`` bytes and returns
    the length of the frame, 0 if they are not a frame. After an invalid frame the search goes on
    at its second byte, so that a valid frame inside is found.
    """

    def __init__(
        self,
        headers: bytes | tuple[bytes, ...],
        prefix: int,
        length: Callable[[bytes], int],
        decode_frame: FrameDecoder,
    ) -> None:
        self._headers = (headers,) if isinstance(headers, bytes) else headers
        self._prefix = max(prefix, *(len(h) for h in self._headers))
        self._length = length
        self._decode_frame = decode_frame

    def scan(self, buffer: bytearray, at: int) -> ScanStep | None:
        """See Scanner."""
        if not any(buffer.startswith(h, at) for h in self._headers):
            end = self._next_begin(buffer, at)
            return ScanStep(end - at, discarded=DiscardReason.GARBAGE) if end > at else None
        if len(buffer) - at < self._prefix:
            return None
        length = self._length(bytes(buffer[at : at + self._prefix]))
        if length < self._prefix:
            return ScanStep(1, discarded=DiscardReason.GARBAGE)
        if len(buffer) - at < length:
            return None
        decoded = self._decode_frame(bytes(buffer[at : at + length]))
        if isinstance(decoded, DiscardReason):
            return ScanStep(1, discarded=decoded)
        return ScanStep(length, values=decoded)

    def _next_begin(self, buffer: bytearray, at: int) -> int:
        """Where the next header begins, or part of one at the end of the buffer."""
        found = [position for h in self._headers if (position := buffer.find(h, at)) >= 0]
        nearest = min(found, default=len(buffer))
        longest = max(len(h) for h in self._headers)
        for start in range(max(at, len(buffer) - longest + 1), min(nearest, len(buffer))):
            if any(h.startswith(buffer[start:]) for h in self._headers):
                return start
        return nearest


class LineScanner:
    """Lines of text that end with ``end``; empty lines are skipped.

    A line longer than ``longest`` is discarded. With ``start`` a line begins at the last
    occurrence of these bytes, which drops noise before it.
    """

    def __init__(
        self,
        decode_frame: FrameDecoder,
        *,
        end: bytes = b"\n",
        longest: int = 256,
        start: bytes = b"",
    ) -> None:
        self._decode_frame = decode_frame
        self._end = end
        self._longest = longest
        self._start = start
        self._skipping = False

    def scan(self, buffer: bytearray, at: int) -> ScanStep | None:
        """See Scanner."""
        limit = at + self._longest
        stop = buffer.find(self._end, at, limit + 1)
        if stop < 0:
            # Only the bytes up to the limit count, so the result does not depend on how many came.
            if len(buffer) <= limit:
                return None
            self._skipping = True
            return ScanStep(self._longest, discarded=DiscardReason.GARBAGE)
        consumed = stop - at + len(self._end)
        if self._skipping:
            self._skipping = False
            return ScanStep(consumed, discarded=DiscardReason.GARBAGE)
        line = bytes(buffer[at:stop]).strip(b"\r\n\0 ")
        if self._start and self._start in line:
            line = line[line.rfind(self._start) :]
        if not line:
            return ScanStep(consumed)
        decoded = self._decode_frame(line)
        if isinstance(decoded, DiscardReason):
            return ScanStep(consumed, discarded=decoded)
        return ScanStep(consumed, values=decoded)


class EnvelopeScanner:
    """Frames between two control bytes, such as STX and ETX, with line ends between frames.

    The ``end`` byte is searched from byte ``before``; ``after`` more bytes (the checksum) belong
    to the frame. A frame longer than ``longest`` is invalid.
    """

    def __init__(
        self,
        start: int,
        end: int,
        decode_frame: FrameDecoder,
        *,
        before: int,
        after: int,
        longest: int,
    ) -> None:
        self._start = start
        self._end = end
        self._decode_frame = decode_frame
        self._before = before
        self._after = after
        self._longest = longest

    def scan(self, buffer: bytearray, at: int) -> ScanStep | None:
        """See Scanner."""
        if buffer[at] in b"\r\n":
            return ScanStep(1)
        if buffer[at] != self._start:
            start = buffer.find(self._start, at)
            return ScanStep(
                (start if start >= 0 else len(buffer)) - at, discarded=DiscardReason.GARBAGE
            )
        limit = at + self._longest
        end = buffer.find(self._end, at + self._before, limit)
        if end < 0:
            return ScanStep(1, discarded=DiscardReason.GARBAGE) if len(buffer) >= limit else None
        stop = end + 1 + self._after
        if len(buffer) < stop:
            return None
        decoded = self._decode_frame(bytes(buffer[at:stop]))
        if isinstance(decoded, DiscardReason):
            return ScanStep(1, discarded=decoded)
        return ScanStep(stop - at, values=decoded)
