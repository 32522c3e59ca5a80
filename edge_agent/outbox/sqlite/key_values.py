"""Key–value entries, committed in the same transaction as the preceding reports."""

import sqlite3
from collections.abc import Mapping

from edge_agent.outbox.sqlite.checksums import checksum_of


class KeyValueEntries:
    """Texts by name."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._unsaved: set[str] = set()

    def __bool__(self) -> bool:
        """Whether something is not yet in the file."""
        return bool(self._unsaved)

    def put(self, name: str, text: str) -> None:
        """Set a text."""
        if self.texts.get(name) != text:
            self.texts[name] = text
            self._unsaved.add(name)

    def adopt(self, texts: Mapping[str, str]) -> None:
        """Add the texts of a file; those known here are newer and stay."""
        self.texts = {**texts, **self.texts}

    def load(self, connection: sqlite3.Connection) -> None:
        """Add the texts of the file, without those whose checksum is wrong."""
        rows = connection.execute("SELECT name, value, checksum FROM kept").fetchall()
        self.adopt({name: text for name, text, c in rows if c == checksum_of(name, text)})

    def start_new_file(self) -> None:
        """Plan to write everything into an empty file."""
        self._unsaved.update(self.texts)

    def save(self, connection: sqlite3.Connection) -> None:
        """Write what is new in the caller's transaction; call ``saved`` after the commit."""
        connection.executemany(
            "INSERT OR REPLACE INTO kept(name, value, checksum) VALUES(?, ?, ?)",
            [(n, self.texts[n], checksum_of(n, self.texts[n])) for n in sorted(self._unsaved)],
        )

    def saved(self) -> None:
        """The transaction with ``save`` was committed."""
        self._unsaved.clear()
