"""Modbus RTU on the server side: finds requests by length, CRC and silence."""

from dataclasses import dataclass

from telemetry.crc import has_valid_crc

# function: size of the whole frame, if it does not depend on the content
_FIXED = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10, 43: 7}
# function: position of the byte count
_COUNTED = {15: 6, 16: 6, 23: 10}
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class RtuRequest:
    """A request with a valid CRC: unit and PDU."""

    unit: int
    pdu: bytes


class RtuListener:
    """Finds requests in the bytes on a line.

    The length of a frame follows from its function; a frame of an unknown function ends with
    silence. Bytes that are not a frame are dropped at the next silence, as a device does.
    """

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self.bad_frames = 0
        self._buffer = bytearray()
        self._last_s = float("-inf")

    def feed(self, data: bytes, now_s: float) -> list[RtuRequest]:
        """Accept bytes that arrived at ``now_s`` (monotonic seconds); return complete requests."""
        requests = self.flush(now_s)
        self._buffer += data
        self._last_s = now_s
        while (size := self._complete()) is not None:
            frame = bytes(self._buffer[:size])
            if not has_valid_crc(frame):
                break  # wait for silence: the start of the next frame is unknown
            del self._buffer[:size]
            requests.append(RtuRequest(frame[0], frame[1:-2]))
        return requests

    def flush(self, now_s: float) -> list[RtuRequest]:
        """After a silence, return the bytes as a request if their CRC is valid."""
        if not self._buffer or now_s - self._last_s < self.silence_s:
            return []
        frame = bytes(self._buffer)
        self._buffer.clear()
        if len(frame) <= _LONGEST and has_valid_crc(frame):
            return [RtuRequest(frame[0], frame[1:-2])]
        self.bad_frames += 1
        return []

    def _complete(self) -> int | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        size = _FIXED.get(buffer[1])
        if size is None:
            position = _COUNTED.get(buffer[1])
            if position is None or len(buffer) <= position:
                return None
            size = position + 1 + buffer[position] + 2
        return size if len(buffer) >= size else None
