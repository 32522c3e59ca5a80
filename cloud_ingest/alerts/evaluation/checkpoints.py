"""Saves and loads the state of the rules in the database."""

import io
import zipfile

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from alert_rules.evaluator import State
from cloud_ingest.alerts import tables


def save(connection: Connection, parts: dict[str, State], now_ms: int) -> None:
    """Replace the saved arrays of each part."""
    for name, state in parts.items():
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **state)
        t = tables.checkpoints
        connection.execute(sa.delete(t).where(t.c.name == name))
        connection.execute(sa.insert(t).values(name=name, saved_ms=now_ms, data=stream.getvalue()))


class Checkpoint:
    """The saved parts and the time of saving. A part that cannot be read counts as missing."""

    def __init__(self, connection: Connection) -> None:
        self._data: dict[str, bytes] = {}
        self.saved_ms: int | None = None
        for row in connection.execute(sa.select(tables.checkpoints)).mappings():
            self._data[row["name"]] = row["data"]
            self.saved_ms = row["saved_ms"]

    def part(self, name: str) -> State | None:
        """The arrays of one part; None if it is missing."""
        data = self._data.get(name)
        if data is None:
            return None
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except (ValueError, OSError, zipfile.BadZipFile, KeyError):
            return None
