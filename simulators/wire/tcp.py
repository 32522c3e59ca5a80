"""Modbus TCP on the server side: requests in a stream, each with a header."""

from struct import Struct
from typing import NamedTuple

_HEADER = Struct(">HHHB")


class TcpFrameError(ValueError):
    """The stream is not Modbus TCP; the connection must be closed."""


class TcpRequest(NamedTuple):
    """A request: transaction number (repeated in the answer), unit and PDU."""

    transaction: int
    unit: int
    pdu: bytes


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """An answer with its header."""
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class TcpListener:
    """Finds requests in the bytes of one connection, whatever pieces they come in."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_empty(self) -> bool:
        """True if there is no incomplete request."""
        return not self._rest

    def feed(self, data: bytes) -> list[TcpRequest]:
        """Accept bytes; return complete requests. Raises TcpFrameError if this is not Modbus."""
        data = self._rest + data if self._rest else data
        requests = []
        start = 0
        while len(data) - start >= 8:
            transaction, protocol, length, unit = _HEADER.unpack_from(data, start)
            if protocol != 0 or not 2 <= length <= 254:
                raise TcpFrameError(f"protocol {protocol}, length {length}")
            end = start + 6 + length
            if end > len(data):
                break
            requests.append(TcpRequest(transaction, unit, data[start + 7 : end]))
            start = end
        self._rest = data[start:]
        return requests
