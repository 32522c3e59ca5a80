"""Modbus RTU as a slave hears it: requests found in a stream of bytes, by length, check sum and silence."""

from dataclasses import dataclass

from telemetry.crc import has_valid_crc

# function: bytes of the whole frame, where it does not depend on its content
_FIXED = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10, 43: 7}
# function: where the count of the bytes that follow stands
_COUNTED = {15: 6, 16: 6, 23: 10}
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class RtuRequest:
    """A request with a right check sum: to which unit, and what is asked."""

    unit: int
    pdu: bytes


class RtuListener:
    """Finds requests among the bytes on a line.

    A frame ends where its function says so; one of an unknown function ends with silence. Bytes
    that make no frame are dropped at the next silence, as a slave does.
    """

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self.bad_frames = 0
        self._buffer = bytearray()
        self._last_s = float("-inf")

    def feed(self, data: bytes, now_s: float) -> list[RtuRequest]:
        """Take bytes that arrived at ``now_s`` (monotonic seconds); give what is complete."""
        requests = self.flush(now_s)
        self._buffer += data
        self._last_s = now_s
        while (size := self._complete()) is not None:
            frame = bytes(self._buffer[:size])
            if not has_valid_crc(frame):
                break  # wait for silence: nobody knows where the next frame begins
            del self._buffer[:size]
            requests.append(RtuRequest(frame[0], frame[1:-2]))
        return requests

    def flush(self, now_s: float) -> list[RtuRequest]:
        """End the frame that silence has ended: give it if its check sum is right."""
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
            place = _COUNTED.get(buffer[1])
            if place is None or len(buffer) <= place:
                return None
            size = place + 1 + buffer[place] + 2
        return size if len(buffer) >= size else None
