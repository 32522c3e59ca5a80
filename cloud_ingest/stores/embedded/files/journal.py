"""The journal: samples in the order of their arrival, on disk before ``append`` returns.

A journal file is a row of blocks: a header (magic, number of samples, CRC-32 of the columns), then
the columns one after the other, little-endian. Whoever reads stops at the first block that is not
whole: that is where a writer was killed, and nobody was told that this block is stored.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cloud_ingest.stores.protocol import StoreUnavailable
from telemetry.batches import SampleBatch

_HEADER = struct.Struct("<4sII")
_MAGIC = b"QJ1\n"
_SAMPLE_BYTES = 4 + 8 + 8 + 1
MOST_SAMPLES = 1 << 24
"""No block holds more; a larger number in a header is damage."""


def encode_block(batch: SampleBatch) -> bytes:
    """The samples of ``batch`` as one block."""
    columns = b"".join(
        (
            batch.series.astype("<i4", copy=False).tobytes(),
            batch.time_ms.astype("<i8", copy=False).tobytes(),
            batch.value.astype("<f8", copy=False).tobytes(),
            batch.quality.tobytes(),
        )
    )
    return _HEADER.pack(_MAGIC, len(batch), zlib.crc32(columns)) + columns


def decode_blocks(data: bytes) -> Iterator[tuple[SampleBatch, int]]:
    """Each whole block in ``data`` with the place where it ends; stops at the first damage."""
    place = 0
    while place + _HEADER.size <= len(data):
        magic, n, crc = _HEADER.unpack_from(data, place)
        start = place + _HEADER.size
        end = start + n * _SAMPLE_BYTES
        if magic != _MAGIC or n > MOST_SAMPLES or end > len(data):
            return
        columns = memoryview(data)[start:end]
        if zlib.crc32(columns) != crc:
            return
        yield _columns(columns, n), end
        place = end


def _columns(data: memoryview, n: int) -> SampleBatch:
    return SampleBatch.of(
        np.frombuffer(data, "<i4", n, 0),
        np.frombuffer(data, "<i8", n, 4 * n),
        np.frombuffer(data, "<f8", n, 12 * n),
        np.frombuffer(data, "u1", n, 20 * n),
    )


def read_journal(path: Path) -> tuple[list[SampleBatch], int]:
    """The batches of a journal file and the length of its undamaged part."""
    batches, sound = [], 0
    for batch, end in decode_blocks(path.read_bytes()):
        batches.append(batch)
        sound = end
    return batches, sound


class Journal:
    """One journal file open for appending, by one process."""

    def __init__(self, path: Path, sound: int = 0) -> None:
        """Open or make ``path``; what stands behind its first ``sound`` bytes is cut off."""
        self.path = path
        self._end = sound
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        os.ftruncate(self._file, sound)
        os.lseek(self._file, sound, os.SEEK_SET)

    def append(self, batch: SampleBatch) -> None:
        """Write ``batch`` through to the disk; StoreUnavailable leaves the journal as it was."""
        block = encode_block(batch)
        try:
            self._write(block)
            os.fdatasync(self._file)
        except OSError as error:
            self._take_back()
            raise StoreUnavailable(f"{self.path}: {error.strerror or error}") from error
        self._end += len(block)

    def _write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _take_back(self) -> None:
        # The file is cut where it was sound; should even that fail, the CRC tells the reader.
        os.lseek(self._file, self._end, os.SEEK_SET)
        try:
            os.ftruncate(self._file, self._end)
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
