"""Which frames of a protocol are sound, written down once more, as simply as can be.

Each function says how long the sound frame is that begins at a position in the data, 0 if none does.
"""

from collections.abc import Callable

Sound = Callable[[bytes, int], int]


def _fixed(headers: tuple[bytes, ...], length: int, good: Callable[[bytes], bool]) -> Sound:
    def sound(data: bytes, at: int) -> int:
        frame = data[at : at + length]
        return length if len(frame) == length and frame.startswith(headers) and good(frame) else 0

    return sound


def _plantower(data: bytes, at: int) -> int:
    if data[at : at + 2] != b"BM" or len(data) < at + 4:
        return 0
    length = int.from_bytes(data[at + 2 : at + 4], "big") + 4
    frame = data[at : at + length]
    if length not in (8, 24, 32, 40) or len(frame) < length:
        return 0
    return length if sum(frame[:-2]) % 65536 == int.from_bytes(frame[-2:], "big") else 0


def _cm1106(data: bytes, at: int) -> int:
    if len(data) < at + 2 or data[at] != 0x16 or not 1 <= data[at + 1] <= 16:
        return 0
    frame = data[at : at + data[at + 1] + 3]
    return len(frame) if len(frame) == data[at + 1] + 3 and sum(frame) % 256 == 0 else 0


def _honeywell(data: bytes, at: int) -> int:
    if data[at : at + 3] == b"\x40\x05\x04":
        frame = data[at : at + 8]
        return 8 if len(frame) == 8 and sum(frame) % 256 == 0 else 0
    frame = data[at : at + 32]
    if len(frame) < 32 or frame[:4] != b"BM\0\x1c":
        return 0
    return 32 if sum(frame[:30]) == frame[30] * 256 + frame[31] else 0


def _xor(data: bytes) -> int:
    result = 0
    for byte in data:
        result ^= byte
    return result


def _bitwise_crc(data: bytes, poly: int, start: int) -> int:
    """CRC with reflected input and output, bit by bit over a bit string."""
    register = start
    for bit in (byte >> i & 1 for byte in data for i in range(8)):
        register = register >> 1 ^ (poly if (register ^ bit) & 1 else 0)
    return register


def _straight_crc(data: bytes) -> int:
    register = 0
    for bit in (byte >> i & 1 for byte in data for i in range(7, -1, -1)):
        register = (register << 1 ^ (0x1021 if (register >> 15 ^ bit) & 1 else 0)) & 0xFFFF
    return register


def _umb(data: bytes, at: int) -> int:
    if len(data) < at + 8 or data[at : at + 2] != b"\x01\x10":
        return 0
    length = data[at + 6] + 12
    frame = data[at : at + length]
    if data[at + 6] < 2 or data[at + 7] != 2 or len(frame) < length:
        return 0
    if frame[-1] != 4 or frame[-4] != 3:
        return 0
    return length if _bitwise_crc(frame[:-3], 0x8408, 0xFFFF) == frame[-3] + 256 * frame[-2] else 0


def _bswa(data: bytes, at: int) -> int:
    end = data.find(3, at + 2, at + 200)
    frame = data[at : end + 2]
    if end < 0 or data[at] != 2 or len(frame) < end + 2 - at:
        return 0
    return len(frame) if _xor(frame) == 0 else 0


EXACT: dict[str, Sound] = {
    "plantower": _plantower,
    "cubic_cm1106": _cm1106,
    "honeywell_hpm": _honeywell,
    "bswa": _bswa,
    "lufft_umb": _umb,
    "nova_sds011": _fixed(
        (b"\xaa\xc0", b"\xaa\xc5", b"\xaa\xcf"),
        10,
        lambda f: f[9] == 0xAB and sum(f[2:8]) % 256 == f[8],
    ),
    "winsen": _fixed((b"\xff",), 9, lambda f: sum(f[1:9]) % 256 == 0),
    "dfrobot_gas": _fixed((b"\xff\x86",), 9, lambda f: (sum(f[1:7]) + f[8]) % 256 == 0),
    "cubic_pm1006": _fixed((b"\x16\x11\x0b",), 20, lambda f: sum(f) % 256 == 0),
    "panasonic_gcja5": _fixed((b"\x02",), 32, lambda f: f[31] == 3 and _xor(f[1:31]) == 0),
    "sm300d2": _fixed((b"\x3c\x02",), 17, lambda f: sum(f[:16]) % 256 == f[16]),
    "davis_vantage": _fixed((b"LOO",), 99, lambda f: _straight_crc(f) == 0),
}
"""Binary protocols: reading from the left, the decoder finds exactly the sound frames."""


def frames_in(sound: Sound, data: bytes) -> int:
    """How many sound frames there are, reading from the left, none inside another."""
    count, at = 0, 0
    while at < len(data):
        length = sound(data, at)
        count += length > 0
        at += length or 1
    return count
