"""Finds the answer to a request in the bytes of a serial line (no I/O).

A Modbus RTU reply names its unit, function and length, but not its request. So the framer remembers
every request that has timed out, because its reply may still arrive. While one is outstanding for a
unit, a request whose answer would look the same is ``ambiguous``: the client first sends a
``probe``, a read of another length. A device answers in the order of the requests, so after the
answer to the probe no older reply can follow.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.acquisition.modbus.outcomes import Answer, LineEvent, Note, Outcome, Refusal
from edge_agent.acquisition.modbus.requests import (
    MAX_BITS,
    MAX_REGISTERS,
    ExceptionCode,
    Function,
    Request,
)
from telemetry.crc import crc16, with_crc

MAX_BUFFER = 4096
LATE_HORIZON_S = 10.0
"""A reply is not expected any more this long after its request has timed out."""


@dataclass(slots=True)
class _Outstanding:
    request: Request
    until_s: float


def probes_for(request: Request) -> Iterator[Request]:
    """The same read with other lengths, so that its answers cannot be confused.

    Shorter lengths first: a longer read may reach registers that the device lacks. Nothing if the
    request is not a read.
    """
    if not request.is_read:
        return
    function, count = request.pdu[0], int.from_bytes(request.pdu[3:5], "big")
    bits = function in (Function.READ_COILS, Function.READ_DISCRETE_INPUTS)
    step, most = (8, MAX_BITS) if bits else (1, MAX_REGISTERS)
    address = int.from_bytes(request.pdu[1:3], "big")
    shorter = range(count - step, 0, -step)
    longer = range(count + step, min(most, 0x10000 - address) + 1, step)
    for other in (*shorter, *longer):
        size = (other + 7) // 8 if bits else 2 * other
        pdu = request.pdu[:3] + other.to_bytes(2, "big")
        yield Request(request.unit, pdu, bytes((function, size)), 2 + size)


class RtuFramer:
    """Frames requests for a serial line and recognises their answers among all else on it."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._buffer = bytearray()
        self._request: Request | None = None
        self._unit = 0
        self._frame = b""
        self._head = b""
        self._echo_due = False
        self._outstanding: dict[int, list[_Outstanding]] = {}
        self._proven: set[tuple[int, bytes]] = set()
        self.echoing = False
        """Whether the adapter echoes what it sends."""

    def ambiguous(self, request: Request, now_s: float) -> bool:
        """Whether a late reply to an earlier request could be taken for the answer to this one."""
        return any(
            o.request.reply_head == request.reply_head
            and o.request.reply_length == request.reply_length
            for o in self._still_due(request.unit, now_s)
        )

    def probe(self, request: Request, now_s: float) -> Request | None:
        """A request to send before an ambiguous one: no late reply looks like its answer."""
        return next((p for p in probes_for(request) if not self.ambiguous(p, now_s)), None)

    def ask(self, request: Request) -> bytes:
        """The frame to send. Drops earlier bytes and expects the answer from now on."""
        self.drain()
        self._request = request
        self._unit = request.unit
        self._frame = with_crc(bytes((request.unit,)) + request.pdu)
        self._head = bytes((request.unit,)) + request.reply_head
        self._echo_due = request.is_read or self.echoing
        return self._frame

    @property
    def incomplete(self) -> bool:
        """Whether bytes have arrived that are no complete answer."""
        return bool(self._buffer)

    def feed(self, data: bytes, now_s: float) -> Outcome | None:
        """Take bytes from the line; returns the outcome of the request when it is known."""
        buffer = self._buffer
        buffer += data
        if self._request is None:
            return None
        if len(buffer) > MAX_BUFFER:
            self._note(LineEvent.RESYNC, self._request.unit)
            del buffer[:-MAX_BUFFER]
        while buffer:
            before = len(buffer)
            outcome = self._look(now_s)
            if outcome is not None:
                self._request = None
                return outcome
            if len(buffer) == before:
                return None
        return None

    def time_out(self, now_s: float) -> None:
        """The request has timed out; a reply to it is late from now on."""
        request = self._request
        if request is None:
            return
        if self._buffer:
            self._note(self._what_is_left(), request.unit)
            self._buffer.clear()
        self._request = None
        due = self._outstanding.setdefault(request.unit, [])
        due.append(_Outstanding(request, now_s + LATE_HORIZON_S))
        del due[:-64]

    def drain(self) -> None:
        """Count and drop what arrived outside a request."""
        buffer = self._buffer
        while buffer:
            size = self._foreign_size()
            if not size:
                break
            self._count_stray(bytes(buffer[:size]))
            del buffer[:size]
        if buffer:
            self._note(LineEvent.RESYNC, self._unit)
            buffer.clear()

    def _look(self, now_s: float) -> Outcome | None:
        """Examine the start of the buffer: an answer, an echo, or a frame to skip."""
        buffer, request = self._buffer, self._request
        assert request is not None  # feed() looks only while something is asked
        if self._echo_due and buffer.startswith(self._frame):
            self._echo_due = False
            self.echoing = True
            del buffer[: len(self._frame)]
            return None
        outcome = self._answer_at(0, now_s)
        if outcome is not None:
            return outcome
        size = self._foreign_size()
        if size:
            self._count_stray(bytes(buffer[:size]))
            del buffer[:size]
            return None
        return self._search(now_s)

    def _search(self, now_s: float) -> Outcome | None:
        """Search the answer after bytes that are no frame (noise when a driver switches on)."""
        buffer = self._buffer
        for start in range(1, len(buffer) - 3):
            if buffer[start] != self._head[0]:
                continue
            before = len(buffer)
            outcome = self._answer_at(start, now_s)
            if len(buffer) != before:
                self._note(LineEvent.CRC_ERROR if start >= 5 else LineEvent.RESYNC, self._unit)
                return outcome
        return None

    def _what_is_left(self) -> LineEvent:
        """How to count bytes that form no frame."""
        size = self._reply_size(0)
        if size is not None and len(self._buffer) >= size:
            return LineEvent.CRC_ERROR
        if self._buffer.startswith(self._head[: len(self._buffer)]):
            return LineEvent.SHORT_FRAME
        return LineEvent.CRC_ERROR if len(self._buffer) >= 5 else LineEvent.RESYNC

    def _answer_at(self, start: int, now_s: float) -> Outcome | None:
        buffer, request = self._buffer, self._request
        assert request is not None
        if buffer.startswith(self._head, start):
            size = self._reply_size(start)
            if not size or len(buffer) < start + size:
                return None
            frame = bytes(buffer[start : start + size])
            if crc16(frame):
                return None
            if self.ambiguous(request, now_s):
                del buffer[: start + size]
                self._note(LineEvent.LATE_REPLY, request.unit)
                return None
            del buffer[: start + size]
            self._outstanding.pop(request.unit, None)
            self._proven.add((request.unit, request.pdu))
            return Answer(frame[1:-2])
        if (
            len(buffer) >= start + 5
            and buffer[start] == request.unit
            and buffer[start + 1] == request.function | 0x80
        ):
            frame = bytes(buffer[start : start + 5])
            if crc16(frame):
                return None
            del buffer[: start + 5]
            return Refusal(frame[2], self._is_certain(frame[2], request.unit, now_s))
        return None

    def _is_certain(self, code: int, unit: int, now_s: float) -> bool:
        """Whether a refusal belongs to the request, and not to an older one.

        An address that the device has given before is not refused later. So if all outstanding
        requests have been answered before, the refusal is new, and no older reply can follow it.
        """
        due = self._still_due(unit, now_s)
        if not due:
            return True
        lasting = code in (ExceptionCode.ILLEGAL_DATA_ADDRESS, ExceptionCode.ILLEGAL_DATA_VALUE)
        if lasting and all((unit, o.request.pdu) in self._proven for o in due):
            self._outstanding.pop(unit, None)
            return True
        return False

    def _reply_size(self, start: int) -> int | None:
        """The length of the frame at ``start`` if it answers the request; None: not known yet."""
        request, buffer = self._request, self._buffer
        if request is None or not buffer.startswith(self._head, start):
            return None
        if request.reply_length is not None:
            return 1 + request.reply_length + 2
        if request.function == Function.REPORT_SERVER_ID:
            return 1 + 2 + buffer[start + 2] + 2 if len(buffer) > start + 2 else None
        return self._identification_size(start)

    def _identification_size(self, start: int) -> int | None:
        buffer = self._buffer
        place = start + 8
        if len(buffer) < place:
            return None
        for _ in range(buffer[place - 1]):
            if len(buffer) < place + 2:
                return None
            place += 2 + buffer[place + 1]
        return place - start + 2

    def _foreign_size(self) -> int:
        """The length of a valid frame at the start of the buffer that is not the answer; or 0."""
        buffer = self._buffer
        sizes = {8, 5}
        if len(buffer) > 2:
            sizes.add(5 + buffer[2])
        if len(buffer) > 6:
            sizes.add(9 + buffer[6])
        for size in sorted(sizes):
            if 5 <= size <= len(buffer) and not crc16(buffer[:size]):
                return size
        return 0

    def _count_stray(self, frame: bytes) -> None:
        due = self._outstanding.get(frame[0], ())
        pdu = frame[1:-2]
        late = any(
            pdu.startswith(o.request.reply_head) or pdu[0] == o.request.function | 0x80 for o in due
        )
        self._note(
            LineEvent.LATE_REPLY if late else LineEvent.FOREIGN_FRAME,
            frame[0] if late else self._unit,
        )

    def _still_due(self, unit: int, now_s: float) -> list[_Outstanding]:
        due = self._outstanding.get(unit)
        if not due:
            return []
        due[:] = [o for o in due if o.until_s > now_s]
        return due
