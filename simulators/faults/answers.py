"""Applies faults to answers and frames."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulators.faults.plan import Fault, FaultKind
from simulators.signals.randomness import uniform
from simulators.wire.functions import ExceptionCode, refuse
from simulators.wire.tcp import tcp_frame
from telemetry.crc import with_crc


@dataclass(frozen=True, slots=True)
class DelayedBytes:
    """Bytes to send after a delay; ``good`` is True if a reader can decode values from them."""

    delay_s: float
    data: bytes
    good: bool = True


_SPOILING = frozenset(
    {
        FaultKind.CRC_ERROR,
        FaultKind.TRUNCATED,
        FaultKind.MERGED,
        FaultKind.WRONG_UNIT,
        FaultKind.EXCEPTION,
    }
)


def rtu_answer(
    unit: int, request: bytes, pdu: bytes, before: bytes, faults: Sequence[Fault], turn: int
) -> DelayedBytes | None:
    """The frame that a device sends; None if it is silent. ``before`` is its last correct frame."""
    kinds = {f.kind: f for f in faults}
    if FaultKind.NO_ANSWER in kinds:
        return None
    if FaultKind.EXCEPTION in kinds:
        pdu = refuse(request[0], ExceptionCode(int(kinds[FaultKind.EXCEPTION].amount)))
    frame = with_crc(bytes((unit % 247 + 1 if FaultKind.WRONG_UNIT in kinds else unit,)) + pdu)
    if FaultKind.CRC_ERROR in kinds:
        frame = frame[:-1] + bytes((frame[-1] ^ 0x5A,))
    if FaultKind.TRUNCATED in kinds:
        frame = frame[: max(len(frame) // 2, 1)]
    if FaultKind.MERGED in kinds:
        frame = (before or frame) + frame
    if FaultKind.GARBAGE in kinds:
        frame = _noise(turn) + frame
    if FaultKind.ECHO in kinds:
        frame = with_crc(bytes((unit,)) + request) + frame
    return DelayedBytes(_delay_s(kinds), frame, good=not _SPOILING & kinds.keys())


def tcp_answer(
    transaction: int, unit: int, request: bytes, pdu: bytes, faults: Sequence[Fault]
) -> DelayedBytes | None:
    """The same over TCP; instead of a wrong CRC, the answer has a wrong transaction number."""
    kinds = {f.kind: f for f in faults}
    if FaultKind.NO_ANSWER in kinds:
        return None
    if FaultKind.EXCEPTION in kinds:
        pdu = refuse(request[0], ExceptionCode(int(kinds[FaultKind.EXCEPTION].amount)))
    if FaultKind.CRC_ERROR in kinds:
        transaction ^= 0x5A5A
    frame = tcp_frame(transaction, unit % 247 + 1 if FaultKind.WRONG_UNIT in kinds else unit, pdu)
    if FaultKind.TRUNCATED in kinds:
        frame = frame[: max(len(frame) // 2, 1)]
    if FaultKind.MERGED in kinds:
        frame = frame + frame
    good = not (_SPOILING - {FaultKind.MERGED}) & kinds.keys()
    return DelayedBytes(_delay_s(kinds), frame, good=good)


def stream_frames(
    frame: bytes, before: bytes, faults: Sequence[Fault], turn: int
) -> DelayedBytes | None:
    """A frame of a stream protocol with its faults."""
    kinds = {f.kind: f for f in faults}
    if FaultKind.NO_ANSWER in kinds:
        return None
    if (
        FaultKind.CRC_ERROR in kinds
        or FaultKind.WRONG_UNIT in kinds
        or FaultKind.EXCEPTION in kinds
    ):
        middle = len(frame) // 2
        frame = frame[:middle] + bytes((frame[middle] ^ 0x5A,)) + frame[middle + 1 :]
    if FaultKind.TRUNCATED in kinds:
        frame = frame[: max(len(frame) // 2, 1)]
    if FaultKind.MERGED in kinds:
        frame = (before or frame)[: max(len(frame) - 3, 1)] + frame
    if FaultKind.GARBAGE in kinds or FaultKind.ECHO in kinds:
        frame = _noise(turn) + frame
    return DelayedBytes(_delay_s(kinds), frame, good=not _SPOILING & kinds.keys())


def _delay_s(kinds: dict[FaultKind, Fault]) -> float:
    return kinds[FaultKind.LATE].amount / 1000.0 if FaultKind.LATE in kinds else 0.0


def _noise(turn: int) -> bytes:
    count = 1 + turn % 5
    return bytes(
        (uniform(0x5EED, [turn * 8 + i for i in range(count)]) * 255.0).astype(int).tolist()
    )
