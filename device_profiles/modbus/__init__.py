"""Converts registers to values and values to registers. No I/O, no Modbus frames."""

from device_profiles.modbus.block import BlockDecoder, block_decoder
from device_profiles.modbus.codec import decode_metric, encode_metric
from device_profiles.modbus.identify import identifying_words, identity, matches
from device_profiles.modbus.image import RegisterImage

__all__ = [
    "BlockDecoder",
    "RegisterImage",
    "block_decoder",
    "decode_metric",
    "encode_metric",
    "identifying_words",
    "identity",
    "matches",
]
