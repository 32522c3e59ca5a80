"""Stream protocols: devices that send frames of their own. Decoding and encoding, no I/O."""

from device_profiles.streams.reader import StreamDecoder, decoder
from device_profiles.streams.wire import DiscardReason, Scanner, ScanStep, Wire
from device_profiles.streams.writer import StreamEncoder, encoder

__all__ = [
    "DiscardReason",
    "ScanStep",
    "Scanner",
    "StreamDecoder",
    "StreamEncoder",
    "Wire",
    "decoder",
    "encoder",
]
