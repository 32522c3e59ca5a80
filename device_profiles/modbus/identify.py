"""Compares registers with those that identify a model."""

import struct
from collections.abc import Sequence

from device_profiles.identification import Identification
from device_profiles.registers import Order

_CODES = {"uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "float32": "f"}


def identity(rule: Identification, words: Sequence[int]) -> int | float | str:
    """The content of the registers: a number after the mask, or a text without padding."""
    words = list(words[: rule.register_count])
    if rule.type == "text_low":
        return _text(bytes(w & 0xFF for w in words))
    if rule.word_order is Order.LITTLE and rule.type != "text":
        words.reverse()
    data = struct.pack(f">{len(words)}H", *words)
    if rule.type == "text":
        return _text(data)
    number: int | float = struct.unpack(">" + _CODES[rule.type], data)[0]
    return number & rule.mask if rule.mask is not None and isinstance(number, int) else number


def matches(rule: Identification, words: Sequence[int]) -> bool:
    """True if ``words``, read from the address of the rule, match its model.

    A text matches if it begins with the text of the rule.
    """
    if len(words) < rule.register_count:
        return False
    found = identity(rule, words)
    if isinstance(found, str):
        return any(isinstance(a, str) and found.startswith(a) for a in rule.alternatives)
    if rule.between is not None:
        return rule.between[0] <= found <= rule.between[1]
    return found in rule.alternatives


def identifying_words(rule: Identification) -> list[int]:
    """Registers that match ``rule``, for a simulated device."""
    if rule.is_text:
        text = str(rule.alternatives[0]).encode("latin-1")
        if rule.type == "text_low":
            return [*text, *[0] * (rule.register_count - len(text))]
        text = text.ljust(2 * rule.register_count, b"\0")
        return list(struct.unpack(f">{rule.register_count}H", text[: 2 * rule.register_count]))
    number = sum(rule.between) / 2 if rule.between else rule.alternatives[0]
    assert not isinstance(number, str)
    code = _CODES[rule.type]
    data = struct.pack(">" + code, number if code == "f" else int(number))
    words = list(struct.unpack(f">{len(data) // 2}H", data))
    if rule.word_order is Order.LITTLE:
        words.reverse()
    return words


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("latin-1").strip()
