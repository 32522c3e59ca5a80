"""The journal: samples in the order of their arrival, on disk before ``append`` returns.

A journal file is a sequence of blocks: a header (magic, number of samples, CRC-32 of the columns),
then the columns one after the other, little-endian. A block that fails its check is skipped, and
reading continues at the next sound one. An incomplete last block is normal: the writer was killed
before ``append`` returned.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from cloud_ingest.stores.embedded.files.replacing import keep_damaged, replace_file
from cloud_ingest.stores.protocol import StoreUnavailable
from telemetry.batches import SampleBatch

_log = structlog.get_logger()
_HEADER = struct.Struct("<4sII")
_MAGIC = b"QJ1\n"
_SAMPLE_BYTES = 4 + 8 + 8 + 1
MOST_SAMPLES = 1 << 24
"""The largest number of samples in a block; a larger number in a header is damage."""


class Block(NamedTuple):
    """A sound block, and the bytes ``start`` to ``end`` of the file that hold it."""

    batch: SampleBatch
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class JournalContent:
    """What was read from a journal file.

    ``cut_off_bytes``: the length of a last block that was not written completely.
    ``damaged_bytes``: the length of everything else that belongs to no sound block.
    """

    blocks: tuple[Block, ...] = ()
    damaged_bytes: int = 0
    cut_off_bytes: int = 0

    @property
    def batches(self) -> list[SampleBatch]:
        """The samples of the sound blocks, oldest first."""
        return [block.batch for block in self.blocks]

    @property
    def sound_bytes(self) -> int:
        """The total length of the sound blocks."""
        return sum(block.end - block.start for block in self.blocks)

    @property
    def damaged_samples(self) -> int:
        """How many samples the damaged bytes held; exact if one block is damaged."""
        return max(0, self.damaged_bytes - _HEADER.size) // _SAMPLE_BYTES


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


def decode_blocks(data: bytes) -> Iterator[Block]:
    """The sound blocks in ``data``; what is damaged between them is skipped."""
    position = 0
    while (position := data.find(_MAGIC, position)) >= 0:
        block = _block_at(data, position)
        if block is None:
            position += 1
        else:
            yield block
            position = block.end


def _block_at(data: bytes, start: int) -> Block | None:
    if start + _HEADER.size > len(data):
        return None
    _, n, crc = _HEADER.unpack_from(data, start)
    end = start + _HEADER.size + n * _SAMPLE_BYTES
    if n > MOST_SAMPLES or end > len(data):
        return None
    columns = memoryview(data)[start + _HEADER.size : end]
    if zlib.crc32(columns) != crc:
        return None
    batch = SampleBatch.of(
        np.frombuffer(columns, "<i4", n, 0),
        np.frombuffer(columns, "<i8", n, 4 * n),
        np.frombuffer(columns, "<f8", n, 12 * n),
        np.frombuffer(columns, "u1", n, 20 * n),
    )
    return Block(batch, start, end)


def _is_cut_off(rest: bytes) -> bool:
    """True if ``rest`` is the beginning of a block whose end is missing.

    If the checksum fits the bytes that are there, nothing is missing: the number in the header is
    damaged.
    """
    if len(rest) < _HEADER.size:
        return rest[:4] == _MAGIC[: len(rest)]
    magic, n, crc = _HEADER.unpack_from(rest)
    return bool(magic == _MAGIC and n <= MOST_SAMPLES) and (
        _HEADER.size + n * _SAMPLE_BYTES > len(rest)
        and zlib.crc32(memoryview(rest)[_HEADER.size :]) != crc
    )


def read_journal(path: Path) -> JournalContent:
    """Read a file of blocks. The file stays as it is."""
    data = path.read_bytes()
    blocks = tuple(decode_blocks(data))
    end = blocks[-1].end if blocks else 0
    cut_off = len(data) - end if _is_cut_off(data[end:]) else 0
    damaged = len(data) - cut_off - sum(block.end - block.start for block in blocks)
    return JournalContent(blocks, damaged, cut_off)


def recover_journal(path: Path) -> JournalContent:
    """Read a journal; if it is damaged, keep a copy beside it and rewrite it without the damage.

    The caller cuts off an incomplete last block (``Journal`` does).
    """
    content = read_journal(path)
    if content.cut_off_bytes:
        _log.info("journal_tail_cut_off", file=str(path), bytes=content.cut_off_bytes)
    if content.damaged_bytes:
        kept = keep_damaged(path)
        replace_file(path, b"".join(encode_block(batch) for batch in content.batches))
        _log.warning(
            "journal_damaged",
            file=str(path),
            kept_as=kept.name,
            bytes=content.damaged_bytes,
            samples=content.damaged_samples,
        )
    return content


class Journal:
    """One journal file open for appending, by one process."""

    def __init__(self, path: Path, sound_bytes: int = 0) -> None:
        """Open or create ``path``; everything after its first ``sound_bytes`` is cut off."""
        self.path = path
        self._end = sound_bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        os.ftruncate(self._file, sound_bytes)
        os.lseek(self._file, sound_bytes, os.SEEK_SET)

    def append(self, batch: SampleBatch) -> None:
        """Write ``batch`` durably. On StoreUnavailable the journal is as it was before."""
        block = encode_block(batch)
        try:
            self._write(block)
            os.fdatasync(self._file)
        except OSError as error:
            self._roll_back()
            raise StoreUnavailable(f"{self.path}: {error.strerror or error}") from error
        self._end += len(block)

    def _write(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _roll_back(self) -> None:
        # If truncating fails too, the reader finds the incomplete block by its checksum.
        os.lseek(self._file, self._end, os.SEEK_SET)
        try:
            os.ftruncate(self._file, self._end)
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
