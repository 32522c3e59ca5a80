"""Protocols of devices that speak by themselves: bytes to samples and back, no I/O."""

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
