"""Modbus functions: the answer of a unit to a request (Application Protocol V1.1b3)."""

from dataclasses import dataclass
from enum import IntEnum

from simulators.wire.registers import RegisterBank, Table


class ExceptionCode(IntEnum):
    """Exception codes."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    BUSY = 6
    GATEWAY_PATH = 10
    GATEWAY_TARGET = 11


@dataclass(frozen=True, slots=True)
class UnitLimits:
    """UnitLimits of a unit within the standard."""

    max_registers: int = 125
    max_bits: int = 2000


@dataclass(frozen=True, slots=True)
class Identity:
    """The identification of a unit (functions 17 and 43/14)."""

    vendor: str
    model: str
    revision: str = "1.0"


DEFAULT_IDENTITY = Identity("Simulated", "device")
_READ_WORDS: dict[int, Table] = {3: "holding", 4: "input"}
_READ_BITS: dict[int, Table] = {1: "coil", 2: "discrete"}


def refuse(function: int, code: ExceptionCode) -> bytes:
    """The exception answer to ``function``."""
    return bytes((function | 0x80, code))


def read_range(pdu: bytes) -> tuple[Table, int, int] | None:
    """Table, first address and count of a read request; None for other requests."""
    if len(pdu) != 5 or not 1 <= pdu[0] <= 4:
        return None
    table = _READ_WORDS.get(pdu[0]) or _READ_BITS[pdu[0]]
    return table, int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")


def answer(
    bank: RegisterBank,
    pdu: bytes,
    limits: UnitLimits = UnitLimits(),
    identity: Identity = DEFAULT_IDENTITY,
) -> bytes:
    """The answer of a unit with the registers ``bank`` to a request (function code and data)."""
    function = pdu[0]
    if function in _READ_WORDS:
        return _read_words(bank, pdu, limits)
    if function in _READ_BITS:
        return _read_bits(bank, pdu, limits)
    handler = _OTHERS.get(function)
    if handler is not None:
        return handler(bank, pdu)
    if function == 17:
        name = f"{identity.vendor} {identity.model}".encode("ascii", "replace")[:240]
        return bytes((17, len(name) + 2, 0x01)) + name + b"\xff"
    if function == 43:
        return _identify(pdu, identity)
    return refuse(function, ExceptionCode.ILLEGAL_FUNCTION)


def _read_words(bank: RegisterBank, pdu: bytes, limits: UnitLimits) -> bytes:
    count = int.from_bytes(pdu[3:5], "big")
    if len(pdu) != 5 or not 1 <= count <= limits.max_registers:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    data = bank.word_bytes(_READ_WORDS[pdu[0]], int.from_bytes(pdu[1:3], "big"), count)
    if data is None:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)
    return bytes((pdu[0], len(data))) + data


def _read_bits(bank: RegisterBank, pdu: bytes, limits: UnitLimits) -> bytes:
    count = int.from_bytes(pdu[3:5], "big")
    if len(pdu) != 5 or not 1 <= count <= limits.max_bits:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    bits = bank.bits(_READ_BITS[pdu[0]], int.from_bytes(pdu[1:3], "big"), count)
    if bits is None:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)
    data = bytearray((count + 7) // 8)
    for i, bit in enumerate(bits):
        data[i >> 3] |= bit << (i & 7)
    return bytes((pdu[0], len(data))) + bytes(data)


def _write_coil(bank: RegisterBank, pdu: bytes) -> bytes:
    if len(pdu) != 5 or pdu[3:5] not in (b"\x00\x00", b"\xff\x00"):
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    done = bank.write_bits("coil", int.from_bytes(pdu[1:3], "big"), [pdu[3]])
    return pdu if done else refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)


def _write_register(bank: RegisterBank, pdu: bytes) -> bytes:
    if len(pdu) != 5:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    done = bank.write_words("holding", int.from_bytes(pdu[1:3], "big"), pdu[3:5])
    return pdu if done else refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)


def _write_coils(bank: RegisterBank, pdu: bytes) -> bytes:
    count = int.from_bytes(pdu[3:5], "big")
    size = (count + 7) // 8
    if len(pdu) < 6 or not 1 <= count <= 1968 or pdu[5] != size or len(pdu) != 6 + size:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    bits = [pdu[6 + (i >> 3)] >> (i & 7) & 1 for i in range(count)]
    done = bank.write_bits("coil", int.from_bytes(pdu[1:3], "big"), bits)
    return pdu[:5] if done else refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)


def _write_registers(bank: RegisterBank, pdu: bytes) -> bytes:
    count = int.from_bytes(pdu[3:5], "big")
    if len(pdu) < 6 or not 1 <= count <= 123 or pdu[5] != 2 * count or len(pdu) != 6 + 2 * count:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    done = bank.write_words("holding", int.from_bytes(pdu[1:3], "big"), pdu[6:])
    return pdu[:5] if done else refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)


def _mask_register(bank: RegisterBank, pdu: bytes) -> bytes:
    if len(pdu) != 7:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    address = int.from_bytes(pdu[1:3], "big")
    words = bank.words("holding", address, 1)
    if words is None:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)
    keep, put = int.from_bytes(pdu[3:5], "big"), int.from_bytes(pdu[5:7], "big")
    word = (words[0] & keep) | (put & ~keep & 0xFFFF)
    bank.set_words("holding", {address: word})
    return pdu


def _write_and_read(bank: RegisterBank, pdu: bytes) -> bytes:
    if len(pdu) < 10:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    read_from, read_count, write_to, write_count = (
        int.from_bytes(pdu[i : i + 2], "big") for i in (1, 3, 5, 7)
    )
    size = 2 * write_count
    possible = 1 <= read_count <= 125 and 1 <= write_count <= 121
    if not possible or pdu[9] != size or len(pdu) != 10 + size:
        return refuse(pdu[0], ExceptionCode.ILLEGAL_VALUE)
    if bank.word_bytes("holding", read_from, read_count) is None or not bank.write_words(
        "holding", write_to, pdu[10:]
    ):
        return refuse(pdu[0], ExceptionCode.ILLEGAL_ADDRESS)
    data = bank.word_bytes("holding", read_from, read_count)
    assert data is not None
    return bytes((pdu[0], len(data))) + data


def _diagnose(_bank: RegisterBank, pdu: bytes) -> bytes:
    if len(pdu) >= 3 and pdu[1:3] == b"\x00\x00":
        return pdu  # return query data
    return refuse(pdu[0], ExceptionCode.ILLEGAL_FUNCTION)


def _identify(pdu: bytes, identity: Identity) -> bytes:
    if len(pdu) != 4 or pdu[1] != 0x0E:
        return refuse(43, ExceptionCode.ILLEGAL_FUNCTION)
    if pdu[2] not in (1, 4):
        return refuse(43, ExceptionCode.ILLEGAL_VALUE)
    texts = (identity.vendor, identity.model, identity.revision)
    objects = [(i, t.encode("ascii", "replace")[:60]) for i, t in enumerate(texts)]
    if pdu[2] == 4:
        objects = [o for o in objects if o[0] == pdu[3]]
        if not objects:
            return refuse(43, ExceptionCode.ILLEGAL_ADDRESS)
    body = b"".join(bytes((i, len(t))) + t for i, t in objects)
    return bytes((43, 0x0E, pdu[2], 0x81, 0, 0, len(objects))) + body


_OTHERS = {
    5: _write_coil,
    6: _write_register,
    8: _diagnose,
    15: _write_coils,
    16: _write_registers,
    22: _mask_register,
    23: _write_and_read,
}
