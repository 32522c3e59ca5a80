"""Payloads that carry a compressed payload in their body, as Tahu clients send them."""

import zlib
from typing import Final

from telemetry.sparkplug.model import PayloadError

COMPRESSED: Final = "SPBV1.0_COMPRESSED"
"""The uuid of a payload whose body is a compressed payload."""


def inflate(body: bytes, max_bytes: int) -> bytes:
    """The payload in ``body`` (zlib or gzip); PayloadError if damaged or more than ``max_bytes``."""
    inflater = zlib.decompressobj(wbits=47)  # zlib or gzip, detected from the header
    try:
        out = inflater.decompress(body, max_bytes)
    except zlib.error as error:
        raise PayloadError(f"the compressed body is damaged: {error}") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise PayloadError(f"the compressed body is cut off or inflates beyond {max_bytes} bytes")
    return out
