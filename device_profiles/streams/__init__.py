"""Stream protocols: devices that send frames of their own. Decoding and encoding, no I/O."""

from device_profiles.streams.reader import StreamDecoder, decoder
from device_profiles.streams.wire import Fault, Scanner, Step, Wire
from device_profiles.streams.writer import StreamEncoder, encoder

__all__ = [
    "Fault",
    "Scanner",
    "Step",
    "StreamDecoder",
    "StreamEncoder",
    "Wire",
    "decoder",
    "encoder",
]
