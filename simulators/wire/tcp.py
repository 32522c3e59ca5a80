"""Modbus TCP as a server hears it: requests in a stream, each with its header."""

from struct import Struct
from typing import NamedTuple

_HEADER = Struct(">HHHB")


class TcpFrameError(ValueError):
    """The stream does not carry Modbus TCP; the connection is of no more use."""


class TcpRequest(NamedTuple):
    """A request: its number (to be repeated in the answer), the unit, and what is asked."""

    transaction: int
    unit: int
    pdu: bytes


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """An answer as it travels."""
    return _HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


class TcpListener:
    """Finds requests in the bytes of one connection, however they are cut or joined."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_empty(self) -> bool:
        """Whether no part of a request waits for the rest."""
        return not self._rest

    def feed(self, data: bytes) -> list[TcpRequest]:
        """Take bytes; give the requests they complete. TcpFrameError where this is no Modbus."""
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
