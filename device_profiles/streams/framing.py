"""The ways in which streams fall into frames: a header and a length, or lines of text."""

from collections.abc import Callable

from device_profiles.streams.wire import Fault, Reading, Step

Judge = Callable[[bytes], Reading | Fault]
"""What a whole frame says, or why it is none."""


class HeaderScanner:
    """Binary frames that begin with fixed bytes and whose length their first bytes tell.

    ``headers`` are the ways in which a frame may begin. ``length`` gets the ``prefix`` first
    bytes and says how long the frame is, 0 if it is none. After a bad frame the search goes on
    with its second byte, so a good one inside is found.
    """

    def __init__(
        self,
        headers: bytes | tuple[bytes, ...],
        prefix: int,
        length: Callable[[bytes], int],
        judge: Judge,
    ) -> None:
        self._headers = (headers,) if isinstance(headers, bytes) else headers
        self._prefix = max(prefix, *(len(h) for h in self._headers))
        self._length = length
        self._judge = judge

    def scan(self, buffer: bytearray, at: int) -> Step | None:
        """See Scanner."""
        if not any(buffer.startswith(h, at) for h in self._headers):
            end = self._next_begin(buffer, at)
            return Step(end - at, fault=Fault.GARBAGE) if end > at else None
        if len(buffer) - at < self._prefix:
            return None
        length = self._length(bytes(buffer[at : at + self._prefix]))
        if length < self._prefix:
            return Step(1, fault=Fault.GARBAGE)
        if len(buffer) - at < length:
            return None
        verdict = self._judge(bytes(buffer[at : at + length]))
        if isinstance(verdict, Fault):
            return Step(1, fault=verdict)
        return Step(length, reading=verdict)

    def _next_begin(self, buffer: bytearray, at: int) -> int:
        """Where the next header begins, or may begin at the buffer's end."""
        found = [place for h in self._headers if (place := buffer.find(h, at)) >= 0]
        nearest = min(found, default=len(buffer))
        longest = max(len(h) for h in self._headers)
        for start in range(max(at, len(buffer) - longest + 1), min(nearest, len(buffer))):
            if any(h.startswith(buffer[start:]) for h in self._headers):
                return start
        return nearest


class LineScanner:
    """Lines of text that end with ``end``; empty ones are skipped.

    A line longer than ``longest`` is thrown away to its end. With ``start`` a line begins at the
    last of these bytes in it, so that what noise put before it does not spoil it.
    """

    def __init__(
        self, judge: Judge, *, end: bytes = b"\n", longest: int = 256, start: bytes = b""
    ) -> None:
        self._judge = judge
        self._end = end
        self._longest = longest
        self._start = start
        self._skipping = False

    def scan(self, buffer: bytearray, at: int) -> Step | None:
        """See Scanner."""
        limit = at + self._longest
        stop = buffer.find(self._end, at, limit + 1)
        if stop < 0:
            # Only the bytes up to the limit decide, so it does not matter how many there are.
            if len(buffer) <= limit:
                return None
            self._skipping = True
            return Step(self._longest, fault=Fault.GARBAGE)
        consumed = stop - at + len(self._end)
        if self._skipping:
            self._skipping = False
            return Step(consumed, fault=Fault.GARBAGE)
        line = bytes(buffer[at:stop]).strip(b"\r\n\0 ")
        if self._start and self._start in line:
            line = line[line.rfind(self._start) :]
        if not line:
            return Step(consumed)
        verdict = self._judge(line)
        if isinstance(verdict, Fault):
            return Step(consumed, fault=verdict)
        return Step(consumed, reading=verdict)


class EnvelopeScanner:
    """Frames between two control bytes, such as STX and ETX, with line ends between them.

    The ``end`` byte is looked for from the ``before``-th byte on, and ``after`` more bytes (the
    checksum) belong to the frame. A frame longer than ``longest`` is none.
    """

    def __init__(
        self, start: int, end: int, judge: Judge, *, before: int, after: int, longest: int
    ) -> None:
        self._start = start
        self._end = end
        self._judge = judge
        self._before = before
        self._after = after
        self._longest = longest

    def scan(self, buffer: bytearray, at: int) -> Step | None:
        """See Scanner."""
        if buffer[at] in b"\r\n":
            return Step(1)
        if buffer[at] != self._start:
            start = buffer.find(self._start, at)
            return Step((start if start >= 0 else len(buffer)) - at, fault=Fault.GARBAGE)
        limit = at + self._longest
        end = buffer.find(self._end, at + self._before, limit)
        if end < 0:
            return Step(1, fault=Fault.GARBAGE) if len(buffer) >= limit else None
        stop = end + 1 + self._after
        if len(buffer) < stop:
            return None
        verdict = self._judge(bytes(buffer[at:stop]))
        if isinstance(verdict, Fault):
            return Step(1, fault=verdict)
        return Step(stop - at, reading=verdict)
