"""NCMD payloads from the host to gateways (QoS 0, not retained, without a sequence number)."""

from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from telemetry.sparkplug import names
from telemetry.sparkplug.datatypes import DataType
from telemetry.sparkplug.topics import NAMESPACE
from telemetry.varint import encode_varint

_LONGEST_VARINT = 10


def command_topic(group: str, gateway: str) -> str:
    """The topic of commands to a gateway."""
    return f"{NAMESPACE}/{group}/NCMD/{gateway}"


def rebirth(now_ms: int) -> bytes:
    """The payload that asks a gateway for its births."""
    payload = Payload(timestamp=now_ms)
    payload.metrics.add(
        name=names.REBIRTH, timestamp=now_ms, datatype=DataType.BOOLEAN, boolean_value=True
    )
    return bytes(payload.SerializeToString())


class Acknowledgements:
    """Encodes the acknowledgements of one moment: only the report number differs."""

    def __init__(self, now_ms: int) -> None:
        now = encode_varint(now_ms)
        name = names.ACK_THROUGH.encode()
        # Metric fields: 1 name, 3 timestamp, 4 datatype, 11 long_value (the number follows).
        metric = b"".join(
            (
                b"\x0a",
                encode_varint(len(name)),
                name,
                b"\x18",
                now,
                b"\x20",
                encode_varint(DataType.UINT64),
                b"\x58",
            )
        )
        self._before = [  # what precedes a number of 0, 1, 2 … bytes
            b"\x08" + now + b"\x12" + encode_varint(len(metric) + size) + metric
            for size in range(_LONGEST_VARINT + 1)
        ]

    def encode(self, batch: int) -> bytes:
        """The payload that says that every report up to ``batch`` is stored."""
        number = encode_varint(batch)
        return self._before[len(number)] + number
