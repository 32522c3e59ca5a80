"""What the host says to gateways: NCMD payloads (QoS 0, not retained, without a sequence number)."""

from cloud_ingest.intake.sparkplug.decoder import BOOLEAN
from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from telemetry.sparkplug import names
from telemetry.sparkplug.topics import NAMESPACE
from telemetry.varint import encode_varint

_UINT64 = 8
_LONGEST_VARINT = 10


def command_topic(group: str, gateway: str) -> str:
    """Where commands to a gateway go."""
    return f"{NAMESPACE}/{group}/NCMD/{gateway}"


def rebirth(now_ms: int) -> bytes:
    """Asks a gateway to introduce itself and its devices again."""
    payload = Payload(timestamp=now_ms)
    payload.metrics.add(name=names.REBIRTH, timestamp=now_ms, datatype=BOOLEAN, boolean_value=True)
    return bytes(payload.SerializeToString())


class Acknowledgements:
    """Makes acknowledgements of one moment; all but the number is the same in each of them."""

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
                encode_varint(_UINT64),
                b"\x58",
            )
        )
        self._before = [  # what stands before a number of so many bytes
            b"\x08" + now + b"\x12" + encode_varint(len(metric) + size) + metric
            for size in range(_LONGEST_VARINT + 1)
        ]

    def encode(self, batch: int) -> bytes:
        """Tells a gateway that every report up to ``batch`` is stored."""
        number = encode_varint(batch)
        return self._before[len(number)] + number
