"""What the host says to gateways: NCMD payloads (QoS 0, not retained, without a sequence number)."""

from cloud_ingest.intake.decode import BOOLEAN
from cloud_ingest.intake.messages import Payload
from telemetry import names
from telemetry.topics import Topic

_UINT64 = 8


def command_topic(group: str, gateway: str) -> str:
    """Where commands to a gateway go."""
    return str(Topic(group, "NCMD", gateway))


def rebirth(now_ms: int) -> bytes:
    """Asks a gateway to introduce itself and its devices again."""
    payload = Payload(timestamp=now_ms)
    payload.metrics.add(name=names.REBIRTH, timestamp=now_ms, datatype=BOOLEAN, boolean_value=True)
    return bytes(payload.SerializeToString())


def ack_through(batch: int, now_ms: int) -> bytes:
    """Tells a gateway that every report up to ``batch`` is stored."""
    payload = Payload(timestamp=now_ms)
    payload.metrics.add(
        name=names.ACK_THROUGH, timestamp=now_ms, datatype=_UINT64, long_value=batch
    )
    return bytes(payload.SerializeToString())
