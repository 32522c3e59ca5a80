"""Streams that went wrong on the way, from a seed."""

import random
import sys
from functools import cache
from pathlib import Path

from device_profiles import library
from device_profiles.streams import registry
from device_profiles.streams.wire import Wire
from tests.device_profiles.golden import cases

FOLDER = Path(__file__).parent / "corpus"


def values(wire: Wire, rng: random.Random) -> dict[str, float]:
    """Some fields with numbers that the device might say."""
    names = list(wire.fields)
    chosen = rng.sample(names, rng.randint(1, len(names)))
    return {name: round(rng.uniform(0, 99), rng.randint(0, 3)) for name in chosen}


def spoil(frame: bytes, rng: random.Random) -> bytes:
    """The frame as it is (one time in four), or with something done to it."""
    data = bytearray(frame)
    match rng.randrange(8):
        case 0 | 1:
            pass
        case 2:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 3:
            del data[rng.randrange(len(data)) :]
        case 4:
            del data[: rng.randrange(len(data))]
        case 5:
            position = rng.randrange(len(data) + 1)
            data[position:position] = rng.randbytes(rng.randint(1, 6))
        case 6:
            position = rng.randrange(len(data))
            del data[position : position + rng.randint(1, 5)]
        case 7:
            position = rng.randrange(len(data))
            data[position : position + 4] = data[:4]
    return bytes(data)


@cache
def captured(name: str) -> tuple[bytes, ...]:
    """The golden frames of this protocol."""
    streams = (case for case in cases() if case.is_stream)
    return tuple(c.stream for c in streams if library.load(c.profile).protocol == name)


def stream(name: str, rng: random.Random, frames: int) -> bytes:
    """Frames of this protocol, made and captured, most of them spoilt, and noise between."""
    wire = registry.wire(name)
    parts = []
    for _ in range(frames):
        golden = captured(name) if rng.random() < 0.3 else ()
        frame = rng.choice(golden) if golden else wire.encode(values(wire, rng))
        parts.append(spoil(frame, rng))
        if rng.random() < 0.1:
            parts.append(rng.randbytes(rng.randint(1, 40)))
    return b"".join(parts)


def pieces(data: bytes, rng: random.Random) -> list[bytes]:
    """The data cut at random positions."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 30)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def corpus(name: str) -> str:
    """Forty streams of this protocol in hex, one a line."""
    rng = random.Random(f"corpus {name}")
    wire = registry.wire(name)
    lines = [stream(name, rng, rng.randint(1, 3)) for _ in range(38)]
    lines += [rng.randbytes(40), wire.encode(values(wire, rng))]
    return "".join(f"{line.hex()}\n" for line in lines if line)


if __name__ == "__main__":
    # python -m tests.device_profiles.fuzz PROTOCOL… writes the stored corpus.
    for protocol in sys.argv[1:]:
        (FOLDER / f"{protocol}.txt").write_text(corpus(protocol), encoding="ascii")
