"""The four tables of a Modbus device: existing addresses and their content."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

Table = Literal["holding", "input", "coil", "discrete"]
TABLES: tuple[Table, ...] = ("holding", "input", "coil", "discrete")
BIT_TABLES: frozenset[Table] = frozenset({"coil", "discrete"})


class _Spans:
    """Ranges of consecutive addresses, each a block with ``width`` bytes for an address."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._starts: list[int] = []
        self._blocks: list[bytearray] = []

    def define(self, addresses: Iterable[int]) -> None:
        kept = {a: self.read(a, 1) for a in self.addresses()}
        self._starts, self._blocks = [], []
        following = -1
        for address in sorted({*kept, *addresses}):
            if address != following:
                self._starts.append(address)
                self._blocks.append(bytearray())
            self._blocks[-1] += kept.get(address) or bytes(self._width)
            following = address + 1

    def addresses(self) -> list[int]:
        return [
            start + i
            for start, block in zip(self._starts, self._blocks, strict=True)
            for i in range(len(block) // self._width)
        ]

    def read(self, address: int, count: int) -> bytes | None:
        i = bisect_right(self._starts, address) - 1
        if i < 0:
            return None
        offset = (address - self._starts[i]) * self._width
        end = offset + count * self._width
        block = self._blocks[i]
        return bytes(block[offset:end]) if end <= len(block) else None

    def write(self, address: int, data: bytes) -> bool:
        i = bisect_right(self._starts, address) - 1
        offset = (address - self._starts[i]) * self._width
        if i < 0 or offset + len(data) > len(self._blocks[i]):
            return False
        self._blocks[i][offset : offset + len(data)] = data
        return True


class RegisterBank:
    """The registers of one Modbus unit. Only addresses that were defined exist.

    Words are stored as on the wire (high byte first), so that an answer is a slice; each bit is
    a byte.
    """

    def __init__(self) -> None:
        self._tables = {t: _Spans(1 if t in BIT_TABLES else 2) for t in TABLES}

    def define(self, table: Table, addresses: Iterable[int]) -> None:
        """Create addresses with the value 0."""
        self._tables[table].define(addresses)

    def addresses(self, table: Table) -> list[int]:
        """The existing addresses, ascending."""
        return self._tables[table].addresses()

    def set_words(self, table: Table, words: Mapping[int, int]) -> None:
        """Write 16-bit words; KeyError if an address does not exist."""
        spans = self._tables[table]
        for address, word in words.items():
            if not spans.write(address, (word & 0xFFFF).to_bytes(2, "big")):
                raise KeyError(f"{table} register {address} does not exist")

    def set_bits(self, table: Table, bits: Mapping[int, bool]) -> None:
        """Write bits; KeyError if an address does not exist."""
        spans = self._tables[table]
        for address, bit in bits.items():
            if not spans.write(address, b"\x01" if bit else b"\x00"):
                raise KeyError(f"{table} {address} does not exist")

    def words(self, table: Table, address: int, count: int) -> list[int] | None:
        """``count`` words from ``address``; None if one does not exist."""
        data = self.word_bytes(table, address, count)
        if data is None:
            return None
        return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]

    def word_bytes(self, table: Table, address: int, count: int) -> bytes | None:
        """``count`` words from ``address`` as bytes; None if one does not exist."""
        return self._tables[table].read(address, count)

    def write_words(self, table: Table, address: int, data: bytes) -> bool:
        """Overwrite words with ``data``; False if one does not exist."""
        return self._tables[table].write(address, data)

    def bits(self, table: Table, address: int, count: int) -> Sequence[int] | None:
        """``count`` bits (0 or 1) from ``address``; None if one does not exist."""
        return self._tables[table].read(address, count)

    def write_bits(self, table: Table, address: int, bits: Sequence[int]) -> bool:
        """Overwrite bits; False if one does not exist."""
        return self._tables[table].write(address, bytes(1 if b else 0 for b in bits))
