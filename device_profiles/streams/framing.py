"""The ways in which streams fall into frames: a header and a length, or lines of text."""

from collections.abc import Callable

from device_profiles.streams.wire import Fault, Reading, Step

Judge = Callable[[bytes], Reading | Fault]
"""What a whole frame says, or why it is none."""


class HeaderScanner:
    """Binary frames that begin with fixed bytes and whose length their first bytes tell.

    ``length`` gets the ``prefix`` first bytes and says how long the frame is, 0 if it is none.
    After a bad frame the search goes on with its second byte, so a good one inside is found.
    """

    def __init__(
        self, header: bytes, prefix: int, length: Callable[[bytes], int], judge: Judge
    ) -> None:
        self._header = header
        self._prefix = max(prefix, len(header))
        self._length = length
        self._judge = judge

    def scan(self, buffer: bytearray, at: int) -> Step | None:
        """See Scanner."""
        start = buffer.find(self._header, at)
        if start != at:
            end = start if start >= 0 else len(buffer) - self._begun(buffer, at)
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

    def _begun(self, buffer: bytearray, at: int) -> int:
        """How many bytes at the end may be the beginning of a header."""
        for size in range(min(len(self._header) - 1, len(buffer) - at), 0, -1):
            if buffer.endswith(self._header[:size]):
                return size
        return 0


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
        stop = buffer.find(self._end, at)
        limit = at + self._longest
        if stop < 0 or stop > limit:
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
