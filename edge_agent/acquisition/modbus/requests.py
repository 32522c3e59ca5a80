"""Modbus requests and the form of their answers (Modbus Application Protocol V1.1b3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import pack

from device_profiles.registers import Table

MAX_REGISTERS = 125
MAX_BITS = 2000


class Function(IntEnum):
    """The functions that the edge can request."""

    READ_COILS = 0x01
    READ_DISCRETE_INPUTS = 0x02
    READ_HOLDING_REGISTERS = 0x03
    READ_INPUT_REGISTERS = 0x04
    WRITE_SINGLE_COIL = 0x05
    WRITE_SINGLE_REGISTER = 0x06
    WRITE_MULTIPLE_COILS = 0x0F
    WRITE_MULTIPLE_REGISTERS = 0x10
    REPORT_SERVER_ID = 0x11
    MASK_WRITE_REGISTER = 0x16
    READ_WRITE_REGISTERS = 0x17
    READ_DEVICE_IDENTIFICATION = 0x2B


class ExceptionCode(IntEnum):
    """Why a device refuses (section 7 of the specification)."""

    ILLEGAL_FUNCTION = 0x01
    ILLEGAL_DATA_ADDRESS = 0x02
    ILLEGAL_DATA_VALUE = 0x03
    SERVER_DEVICE_FAILURE = 0x04
    ACKNOWLEDGE = 0x05
    SERVER_DEVICE_BUSY = 0x06
    MEMORY_PARITY_ERROR = 0x08
    GATEWAY_PATH_UNAVAILABLE = 0x0A
    GATEWAY_TARGET_SILENT = 0x0B


def describe_exception(code: int) -> str:
    """An exception code for people: ``illegal data address (0x02)``."""
    names = {c.value: c.name.lower().replace("_", " ") for c in ExceptionCode}
    return f"{names.get(code, 'unknown exception')} (0x{code:02X})"


READ_FUNCTIONS: dict[Table, Function] = {
    Table.COIL: Function.READ_COILS,
    Table.DISCRETE: Function.READ_DISCRETE_INPUTS,
    Table.HOLDING: Function.READ_HOLDING_REGISTERS,
    Table.INPUT: Function.READ_INPUT_REGISTERS,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one unit.

    ``pdu`` is function code and data. The PDU of an answer must begin with ``reply_head`` and have
    ``reply_length`` bytes. None: its length is in its second byte (report server id) or follows
    from its content (device identification).
    """

    unit: int
    pdu: bytes
    reply_head: bytes
    reply_length: int | None

    @property
    def function(self) -> int:
        """The function code."""
        return self.pdu[0]

    @property
    def is_read(self) -> bool:
        """Whether it reads coils or registers: then the answer never equals the request."""
        return self.pdu[0] in (1, 2, 3, 4)


def read(unit: int, table: Table, address: int, count: int) -> Request:
    """Read ``count`` registers or bits of a table. Raises ValueError beyond the limits of Modbus."""
    bits = table.is_bits
    most = MAX_BITS if bits else MAX_REGISTERS
    if not 1 <= count <= most or not 0 <= address <= 0x10000 - count:
        raise ValueError(
            f"cannot read {count} of {table} at {address}: at most {most}, up to 65535"
        )
    function = READ_FUNCTIONS[table]
    size = (count + 7) // 8 if bits else 2 * count
    return Request(unit, pack(">BHH", function, address, count), bytes((function, size)), 2 + size)


def write_coil(unit: int, address: int, value: bool) -> Request:
    """Write one coil; the answer repeats the request."""
    pdu = pack(">BHH", Function.WRITE_SINGLE_COIL, address, 0xFF00 if value else 0)
    return Request(unit, pdu, pdu, len(pdu))


def write_register(unit: int, address: int, value: int) -> Request:
    """Write one holding register; the answer repeats the request."""
    pdu = pack(">BHH", Function.WRITE_SINGLE_REGISTER, address, value)
    return Request(unit, pdu, pdu, len(pdu))


def write_coils(unit: int, address: int, values: Sequence[bool]) -> Request:
    """Write neighbouring coils (1 to 1968)."""
    if not 1 <= len(values) <= 1968:
        raise ValueError("1 to 1968 coils can be written at once")
    packed = bytearray((len(values) + 7) // 8)
    for i, value in enumerate(values):
        packed[i // 8] |= bool(value) << (i % 8)
    head = pack(">BHH", Function.WRITE_MULTIPLE_COILS, address, len(values))
    return Request(unit, head + bytes((len(packed),)) + packed, head, len(head))


def write_registers(unit: int, address: int, values: Sequence[int]) -> Request:
    """Write neighbouring holding registers (1 to 123)."""
    if not 1 <= len(values) <= 123:
        raise ValueError("1 to 123 registers can be written at once")
    head = pack(">BHH", Function.WRITE_MULTIPLE_REGISTERS, address, len(values))
    data = pack(f">B{len(values)}H", 2 * len(values), *values)
    return Request(unit, head + data, head, len(head))


def mask_write_register(unit: int, address: int, keep: int, then_set: int) -> Request:
    """Set a register to (its value & ``keep``) | (``then_set`` & ~``keep``)."""
    pdu = pack(">BHHH", Function.MASK_WRITE_REGISTER, address, keep, then_set)
    return Request(unit, pdu, pdu, len(pdu))


def read_write_registers(
    unit: int, address: int, count: int, write_address: int, values: Sequence[int]
) -> Request:
    """Write holding registers, then read others, in one transaction."""
    if not (1 <= count <= MAX_REGISTERS and 1 <= len(values) <= 121):
        raise ValueError("1 to 125 registers can be read and 1 to 121 written at once")
    n = len(values)
    function = Function.READ_WRITE_REGISTERS
    pdu = pack(f">BHHHHB{n}H", function, address, count, write_address, n, 2 * n, *values)
    return Request(unit, pdu, bytes((function, 2 * count)), 2 + 2 * count)


def report_server_id(unit: int) -> Request:
    """Request the server id of the device (serial line only)."""
    pdu = bytes((Function.REPORT_SERVER_ID,))
    return Request(unit, pdu, pdu, None)


def read_device_identification(unit: int, category: int = 1, first_object: int = 0) -> Request:
    """Request maker, product and revision of the device (MEI type 14)."""
    function = Function.READ_DEVICE_IDENTIFICATION
    pdu = bytes((function, 0x0E, category, first_object))
    return Request(unit, pdu, bytes((function, 0x0E, category)), None)


def registers_of(pdu: bytes) -> list[int]:
    """The registers in the answer to a read of holding or input registers."""
    data = pdu[2:]
    return [data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)]


def bits_of(pdu: bytes, count: int) -> list[bool]:
    """The ``count`` bits in the answer to a read of coils or discrete inputs."""
    return [bool(pdu[2 + i // 8] >> (i % 8) & 1) for i in range(count)]


def identification_of(pdu: bytes) -> dict[int, str]:
    """The objects in an answer with the device identification, by number."""
    objects: dict[int, str] = {}
    place = 7
    for _ in range(pdu[6]):
        number, size = pdu[place], pdu[place + 1]
        objects[number] = pdu[place + 2 : place + 2 + size].decode("latin-1")
        place += 2 + size
    return objects
