"""What is stored and waits to be entered in the ledger, so that many reports of a gateway cost one row."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from cloud_ingest.intake.work import Entry, OutboxBounds, Receipts

LARGE_FLEET: Final = 500
REPORTS_A_ROW: Final = 4
LONGEST_MS: Final = 1_000


class StoredEntries:
    """Entries in the order in which they came.

    Those of a few hundred gateways are given out at once. Of a large fleet they wait until there
    are several reports for each gateway, or for a second, or until nothing else is to be done: its
    rows in the database cost more than anything else then. What waits is stored but not acknowledged; should the process die, it is
    sent again, which changes nothing.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._reports = 0
        self._gateways = 0
        self._since_ms: int | None = None
        self._at_once = False

    def __bool__(self) -> bool:
        return bool(self._entries)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Let entries wait; a gateway that introduces itself ends the waiting."""
        for entry in entries:
            if isinstance(entry, Receipts):
                self._reports += len(entry.batch)
                self._gateways = len(entry.gateways)
            self._at_once |= isinstance(entry, OutboxBounds)
            self._entries.append(entry)

    def hasten(self) -> None:
        """Let nothing wait any more."""
        self._at_once = True

    def take(self, now_ms: int) -> list[Entry]:
        """The entries whose time has come: all of them, or none."""
        if not self._entries:
            return []
        if self._since_ms is None:
            self._since_ms = now_ms
        if self._may_wait(now_ms - self._since_ms):
            return []
        entries, self._entries = self._entries, []
        self._reports, self._since_ms, self._at_once = 0, None, False
        return _joined(entries)

    def _may_wait(self, waited_ms: int) -> bool:
        large = self._gateways > LARGE_FLEET and self._reports < REPORTS_A_ROW * self._gateways
        return large and not self._at_once and 0 <= waited_ms < LONGEST_MS


def _joined(entries: list[Entry]) -> list[Entry]:
    """The same entries, receipts that follow each other taken together."""
    found: list[Entry] = []
    some: list[Receipts] = []
    for entry in entries:
        if isinstance(entry, Receipts) and (not some or entry.gateways is some[0].gateways):
            some.append(entry)
            continue
        found.extend(_as_one(some))
        some = []
        found.append(entry)
    return [*found, *_as_one(some)]


def _as_one(receipts: list[Receipts]) -> list[Receipts]:
    if len(receipts) < 2:
        return receipts
    return [
        Receipts(
            receipts[0].gateways,
            np.concatenate([r.gateway for r in receipts]),
            np.concatenate([r.batch for r in receipts]),
            np.concatenate([r.samples for r in receipts]),
            np.concatenate([r.time_ms for r in receipts]),
            np.concatenate([r.arrived_ms for r in receipts]),
        )
    ]
