"""Random numbers from a key and an index: equal inputs give the same number."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_UNIT = 2.0**-53


def key_of(*parts: object) -> int:
    """A 63-bit key from the text of its parts; different parts give independent numbers."""
    text = "\x1f".join(str(p) for p in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def uniform(key: int, index: Any) -> Float64:
    """Uniform numbers in [0, 1), one for each integer of ``index`` (SplitMix64 of the counter)."""
    with np.errstate(over="ignore"):
        z = (np.asarray(index, dtype=np.int64).astype(np.uint64) + np.uint64(1)) * _STEP
        z += np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * _UNIT


def normal(key: int, index: Any) -> Float64:
    """Gaussian numbers of mean 0 and deviation 1 (Box-Muller)."""
    i = np.asarray(index, dtype=np.int64)
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(key, 2 * i)))
    turned: Float64 = radius * np.cos(2.0 * np.pi * uniform(key, 2 * i + 1))
    return turned


def wander(key: int, time_s: Float64, period_s: float, octaves: int = 3) -> Float64:
    """A smooth random walk around 0 with deviation about 1 and correlation time ``period_s``."""
    total = np.zeros_like(time_s)
    weight, power = 1.0, 0.0
    for octave in range(octaves):
        cell = time_s / (period_s / 2**octave)
        left = np.floor(cell)
        x = cell - left
        blend = x * x * x * (x * (x * 6.0 - 15.0) + 10.0)
        i = left.astype(np.int64)
        here, following = normal(key + octave, i), normal(key + octave, i + 1)
        # interpolation between independent numbers lowers the variance; this corrects it
        level = np.sqrt((1.0 - blend) ** 2 + blend**2)
        total += weight * ((1.0 - blend) * here + blend * following) / level
        power += weight * weight
        weight *= 0.5
    walk: Float64 = total / np.sqrt(power)
    return walk


def generator(*parts: object) -> np.random.Generator:
    """A random generator for one object, such as one day of one road."""
    return np.random.Generator(np.random.PCG64(key_of(*parts)))
