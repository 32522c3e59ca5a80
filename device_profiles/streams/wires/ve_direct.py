r"""Victron VE.Direct text: MPPT solar chargers and BMV battery monitors (19,200 8N1).

A block is a sequence of lines ``\r\nNAME\tVALUE``. It ends with ``\r\nChecksum\t`` and a byte that
makes the sum of the block 0. Messages in hex (``:…\n``) may come between the lines.
"""

import re
from collections.abc import Mapping

from device_profiles.streams.wire import DiscardReason, FieldValues, ScanStep, Wire

_END = b"\r\nChecksum\t"
_BEGIN = b"\r\nPID\t"
_LONGEST = 1024
_HEX = re.compile(rb":[0-9A-F]{1,120}\n")
_NUMBER = re.compile(rb"-?\d{1,10}|0[xX][0-9A-Fa-f]{1,8}")

# name of the device: field, unit, raw numbers in one unit
_FIELDS: dict[bytes, tuple[str, str, float]] = {
    b"V": ("battery_voltage", "V", 1000),
    b"VS": ("starter_voltage", "V", 1000),
    b"VPV": ("panel_voltage", "V", 1000),
    b"PPV": ("panel_power", "W", 1),
    b"I": ("battery_current", "A", 1000),
    b"IL": ("load_current", "A", 1000),
    b"P": ("battery_power", "W", 1),
    b"SOC": ("state_of_charge", "%", 10),
    b"T": ("battery_temperature", "Cel", 1),
    b"H19": ("yield_total", "kW.h", 100),
    b"H20": ("yield_today", "kW.h", 100),
    b"H17": ("discharged_energy", "kW.h", 100),
    b"H18": ("charged_energy", "kW.h", 100),
    b"TTG": ("time_to_go", "min", 1),
    b"CS": ("charger_state", "1", 1),
    b"ERR": ("error", "1", 1),
    b"LOAD": ("load", "1", 1),
}
_SWITCH = {b"ON": 1.0, b"OFF": 0.0}


class BlockScanner:
    """Cuts the stream into blocks at their checksums."""

    def scan(self, buffer: bytearray, at: int) -> ScanStep | None:
        """See Scanner."""
        limit = at + _LONGEST
        end = buffer.find(_END, at, limit)
        if end < 0:
            return (
                ScanStep(_LONGEST // 2, discarded=DiscardReason.GARBAGE)
                if len(buffer) >= limit
                else None
            )
        stop = end + len(_END) + 1
        if len(buffer) < stop:
            return None
        block = bytes(buffer[at:stop])
        good = _valid_block(block)
        if good is None:
            return ScanStep(len(block), discarded=DiscardReason.CHECKSUM)
        return ScanStep(len(block), values=_read(good))


def _valid_block(block: bytes) -> bytes | None:
    """The block without hex messages, from where its sum is 0; None if the checksum is wrong."""
    body = _HEX.sub(b"", block[:-1]) + block[-1:]
    if sum(body) & 0xFF == 0:
        return body
    begin = body.rfind(_BEGIN)
    return body[begin:] if begin > 0 and sum(body[begin:]) & 0xFF == 0 else None


def _read(block: bytes) -> FieldValues:
    reading: dict[str, float | None] = {}
    for line in block[: -len(_END) - 1].split(b"\r\n"):
        name, tab, value = line.partition(b"\t")
        if not tab or name not in _FIELDS:
            continue
        field, _, divisor = _FIELDS[name]
        if value in _SWITCH:
            reading[field] = _SWITCH[value]
        elif _NUMBER.fullmatch(value):
            reading[field] = int(value, 0 if value[:2].lower() == b"0x" else 10) / divisor
        elif value == b"---":
            reading[field] = None
    return reading


def _encode(fields: Mapping[str, float]) -> bytes:
    block = b"\r\nPID\t0xA042"
    for name, (field, _, divisor) in _FIELDS.items():
        if field in fields:
            value = f"{round(fields[field] * divisor)}"
            if name == b"LOAD":
                value = "ON" if fields[field] else "OFF"
            block += b"\r\n" + name + b"\t" + value.encode()
    block += _END
    return block + bytes((-sum(block) & 0xFF,))


WIRE = Wire(
    fields={field: unit for field, unit, _ in _FIELDS.values()},
    scanner=BlockScanner,
    encode=_encode,
    about="Victron VE.Direct text protocol",
)
