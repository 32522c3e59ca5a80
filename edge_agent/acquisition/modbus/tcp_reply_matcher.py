"""Finds the answer to a request on a Modbus TCP connection by its transaction number (no I/O)."""

from edge_agent.acquisition.modbus.outcomes import (
    Answer,
    Confused,
    LineEvent,
    Note,
    Outcome,
    Refusal,
)
from edge_agent.acquisition.modbus.requests import Request

MOST_NONSENSE = 300
"""After this many bytes without an answer the connection is useless."""


class TcpReplyMatcher:
    """Numbers requests and recognises their answers by the number."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._buffer = bytearray()
        self._request: Request | None = None
        self._unit = 0
        self._transaction = 0
        self._timed_out: list[int] = []

    def ambiguous(self, request: Request, now_s: float) -> bool:  # noqa: ARG002  # as RtuFramer
        """Never: transactions carry numbers."""
        return False

    def probe(self, request: Request, now_s: float) -> Request | None:  # noqa: ARG002  # as RtuFramer
        """No probe is ever needed."""
        return None

    def ask(self, request: Request) -> bytes:
        """The frame to send. Expects the answer from now on."""
        self._request = request
        self._unit = request.unit
        self._transaction = (self._transaction + 1) & 0xFFFF
        head = self._transaction.to_bytes(2, "big") + b"\0\0"
        size = (len(request.pdu) + 1).to_bytes(2, "big")
        return head + size + bytes((request.unit,)) + request.pdu

    @property
    def incomplete(self) -> bool:
        """Always false, so that the wait is not shortened: TCP loses nothing, the rest arrives."""
        return False

    def feed(self, data: bytes, now_s: float) -> Outcome | None:  # noqa: ARG002  # as RtuFramer
        """Take bytes from the connection; returns the outcome of the request when it is known."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 8:
            size = int.from_bytes(buffer[4:6], "big")
            if buffer[2] or buffer[3] or not 2 <= size <= 254:
                if self._find_answer():
                    continue
                if len(buffer) <= MOST_NONSENSE:
                    return None
                self._note(LineEvent.RESYNC, self._unit)
                self._request = None
                return Confused()
            if len(buffer) < 6 + size:
                return None
            outcome = self._judge(bytes(buffer[: 6 + size]))
            del buffer[: 6 + size]
            if outcome is not None:
                self._request = None
                return outcome
        return None

    def time_out(self, now_s: float) -> None:  # noqa: ARG002  # as RtuFramer
        """The request has timed out; a reply to it is late from now on."""
        if self._request is None:
            return
        if self._buffer:
            self._note(LineEvent.SHORT_FRAME, self._unit)
            self._buffer.clear()
        self._request = None
        self._timed_out.append(self._transaction)
        del self._timed_out[:-64]

    def drain(self) -> None:
        """Nothing to do: every frame carries the number of its request."""

    def _find_answer(self) -> bool:
        """Skip the rest of a broken frame up to the head of the answer."""
        head = self._transaction.to_bytes(2, "big") + b"\0\0"
        place = self._buffer.find(head, 1)
        if self._request is None or place < 0:
            return False
        self._note(LineEvent.RESYNC, self._unit)
        del self._buffer[:place]
        return True

    def _judge(self, frame: bytes) -> Outcome | None:
        number, request = int.from_bytes(frame[:2], "big"), self._request
        if request is None or number != self._transaction:
            late = number in self._timed_out
            self._note(
                LineEvent.LATE_REPLY if late else LineEvent.FOREIGN_FRAME,
                frame[6] if late else self._unit,
            )
            return None
        pdu = frame[7:]
        if frame[6] != request.unit:
            self._note(LineEvent.FOREIGN_FRAME, self._unit)
            return None
        if len(pdu) == 2 and pdu[0] == request.function | 0x80:
            return Refusal(pdu[1])
        whole = request.reply_length is None or len(pdu) == request.reply_length
        if whole and pdu.startswith(request.reply_head):
            return Answer(pdu)
        short = pdu[0] == request.function and len(pdu) < (request.reply_length or 0)
        self._note(LineEvent.SHORT_FRAME if short else LineEvent.FOREIGN_FRAME, self._unit)
        return None
