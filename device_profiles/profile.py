"""A device profile: what a model of device measures and how to read it (contract C3)."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
)

from device_profiles.identification import Identification
from device_profiles.metric import Metric, did_you_mean
from device_profiles.registers import BitField
from device_profiles.streams import registry
from telemetry.time.durations import DurationMs
from telemetry.yaml_files import FieldPath

MODBUS = "modbus"
HIGHEST_ADDRESS = 65535

Domain = Literal["air", "water", "noise", "weather", "traffic", "power", "industry", "soil"]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Serial(_FrozenModel):
    """The factory settings of the device's serial line."""

    baudrate: int = Field(default=9600, ge=50, le=4_000_000)
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1


class Limits(_FrozenModel):
    """Limits of the device for reads.

    ``gap`` is the number of unused registers that may be read to merge two reads. ``turnaround``
    is the pause between two requests. ``timeout`` is the longest time to an answer (0: that of
    the bus).
    """

    max_registers: int = Field(default=125, ge=1, le=125)
    gap: int = Field(default=0, ge=0, le=124)
    turnaround_ms: DurationMs = Field(default=0, alias="turnaround")
    timeout_ms: DurationMs = Field(default=0, alias="timeout")


def _bytes(value: object) -> object:
    """Read bytes written as hex (``FF 01 86``), or as text after ``text:``."""
    if isinstance(value, str):
        if value.startswith("text:"):
            return value[5:].encode("latin-1").decode("unicode_escape").encode("latin-1")
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise ValueError(
                "write bytes in hex, such as 'FF 01 86', or as 'text:aR0\\r\\n'"
            ) from None
    return value


HexBytes = Annotated[bytes, BeforeValidator(_bytes), WithJsonSchema({"type": "string"})]


class StreamSettings(_FrozenModel):
    """What is sent to a device with a stream protocol.

    ``start`` is sent when the port opens, ``request`` (if given) every ``interval``.
    """

    start: tuple[HexBytes, ...] = ()
    request: HexBytes | None = None
    interval_ms: DurationMs = Field(default=0, alias="interval")


class Profile(_FrozenModel):
    """What a model of device measures and how to read it."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)
    manufacturer: str = Field(min_length=1)
    model: str = Field(min_length=1)
    domain: Domain
    protocol: str
    serial: Serial = Serial()
    unit: int = Field(default=1, ge=0, le=255)
    limits: Limits = Limits()
    stream: StreamSettings = StreamSettings()
    metrics: tuple[Metric, ...]
    identify: tuple[Identification, ...] = ()
    source: str = Field(min_length=1)
    verified: bool = False
    notes: str = ""

    @field_validator("protocol")
    @classmethod
    def _protocol_is_known(cls, protocol: str) -> str:
        known = [MODBUS, *registry.names()]
        if protocol not in known:
            hint = did_you_mean(protocol, known) or f"; there are {', '.join(known)}"
            raise ValueError("unknown protocol" + hint)
        return protocol

    @property
    def is_stream(self) -> bool:
        """True if the device uses a stream protocol instead of Modbus."""
        return self.protocol != MODBUS

    def metric(self, name: str) -> Metric:
        """The metric with this name; KeyError if there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)

    def validation_errors(self) -> Iterable[tuple[FieldPath, str]]:
        """Errors across fields, each with the path of its field (see telemetry.yaml_files)."""
        if not self.metrics:
            yield ("metrics",), "name at least one metric"
        yield from self._repeated_names()
        if self.is_stream:
            yield from self._wrong_stream_fields()
        else:
            yield from self._wrong_registers()
            yield from self._overlapping_bits()

    def warnings(self) -> Iterator[tuple[FieldPath, str]]:
        """What is allowed but rarely intended."""
        for i, metric in enumerate(self.metrics):
            if metric.address is not None and metric.address >= 30000:
                yield (
                    ("metrics", i, "address"),
                    "addresses are 0-based as on the wire: is this a register number such as 30001 or 40001?",
                )
            if metric.valid is None and metric.quantity != "status":
                yield ("metrics", i, "name"), "has no valid range; impossible values will pass"
        yield from self._shared_registers()

    def _repeated_names(self) -> Iterator[tuple[FieldPath, str]]:
        seen: set[str] = set()
        for i, metric in enumerate(self.metrics):
            if metric.name in seen:
                yield ("metrics", i, "name"), f"two metrics are called {metric.name!r}"
            seen.add(metric.name)

    def _wrong_stream_fields(self) -> Iterator[tuple[FieldPath, str]]:
        fields = registry.wire(self.protocol).fields
        for i, metric in enumerate(self.metrics):
            for name in ("table", "address", "type", "bits", "byte_order", "word_order"):
                if name in metric.model_fields_set:
                    yield ("metrics", i, name), "belongs to Modbus; a stream has no registers"
            if metric.field not in fields:
                where = "field" if "field" in metric.model_fields_set else "name"
                hint = did_you_mean(metric.field, fields) or f"; there are {', '.join(fields)}"
                yield (
                    ("metrics", i, where),
                    f"{self.protocol} has no value {metric.field!r}{hint}",
                )
                continue
            unit = fields[metric.field]
            if unit is not None and (metric.scale, metric.offset) == (1, 0) and unit != metric.unit:
                yield ("metrics", i, "unit"), f"the decoder gives {metric.field!r} in {unit}"

    def _wrong_registers(self) -> Iterator[tuple[FieldPath, str]]:
        for i, metric in enumerate(self.metrics):
            if metric.address is None:
                yield ("metrics", i, "address"), "is missing; it is required"
            if metric.type is None:
                yield ("metrics", i, "type"), "is missing; it is required"
            if metric.address is None or metric.type is None:
                continue
            last = metric.address + metric.register_count - 1
            if last > HIGHEST_ADDRESS:
                yield (
                    ("metrics", i, "address"),
                    f"the value would end at register {last}; the last one is {HIGHEST_ADDRESS}",
                )
            if metric.register_count > self.limits.max_registers:
                yield (
                    ("limits", "max_registers"),
                    f"{metric.name!r} alone takes {metric.register_count} registers",
                )
            if metric.decimals_address not in (None, metric.address + metric.type.registers):
                yield (
                    ("metrics", i, "decimals_address"),
                    f"must be the register after the value, {metric.address + metric.type.registers}",
                )

    def _overlapping_bits(self) -> Iterator[tuple[FieldPath, str]]:
        seen: list[tuple[Metric, BitField]] = []
        for i, metric in enumerate(self.metrics):
            part = metric.bit_field
            if part is None or metric.address is None:
                continue
            for other, other_bits in seen:
                same = (metric.table, metric.address) == (other.table, other.address)
                if same and part.overlaps(other_bits):
                    yield (
                        ("metrics", i, "bits"),
                        f"bits {part} overlap with bits {other_bits} of {other.name!r}",
                    )
            seen.append((metric, part))

    def _shared_registers(self) -> Iterator[tuple[FieldPath, str]]:
        seen: list[tuple[int, int, Metric]] = []
        for i, metric in enumerate(self.metrics):
            if metric.address is None:
                continue
            start, end = metric.address, metric.address + metric.register_count
            for begin, stop, other in seen:
                overlap = metric.table == other.table and start < stop and begin < end
                if overlap and (start, end) != (begin, stop):
                    yield ("metrics", i, "address"), f"shares registers with {other.name!r}"
            seen.append((start, end, metric))
