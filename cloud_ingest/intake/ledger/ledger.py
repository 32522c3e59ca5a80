"""The ledger of all gateways: which reports are stored, and what to acknowledge."""

import json
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cloud_ingest.database import Database, schema
from cloud_ingest.database.rows import put_rows
from cloud_ingest.intake.ledger.account import Account, Gap
from cloud_ingest.intake.ledger.acknowledged_ranges import split_ranges
from cloud_ingest.intake.ledger.daily_counts import DailyCounts
from cloud_ingest.intake.ledger.write_coalescer import WriteCoalescer
from cloud_ingest.intake.work import (
    Entry,
    GatewayCount,
    OutboxBounds,
    Receipt,
    Receipts,
    UnnumberedSamples,
)
from telemetry.ranges import RangeSet

SHORTEST_MS = 25
"""Acknowledgements to one gateway come no more often than this."""
REPEAT_MS = 1_000
"""The same acknowledgement is repeated no more often than this."""


class AckThrough(NamedTuple):
    """Every report of ``gateway`` up to number ``batch`` is stored."""

    gateway: str
    batch: int


class Ledger:
    """The accounts of all gateways. Only the pipeline's thread changes them.

    The order is: the store commits, ``apply``, ``save``, the database commits, ``saved``, ``due``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._accounts: dict[str, Account] = {}
        self._open: list[Account] = []
        self._changed: dict[
            str, None
        ] = {}  # a dict keeps the order of arrival: rows of one message stay adjacent
        self._gaps: list[Gap] = []
        self._days = DailyCounts()
        self._held = WriteCoalescer()

    def load(self) -> None:
        """Read the accounts from the database."""
        with self._database.engine.connect().execution_options(read_only=True) as connection:
            for row in connection.execute(sa.select(schema.ledger)).mappings():
                batches = RangeSet([(0, row["through"]), *row["ranges"]])
                self._accounts[row["gateway_id"]] = Account(
                    row["gateway_id"], batches, row["samples_stored"], known=row["known"]
                )

    def account(self, gateway: str) -> Account | None:
        """The account of a gateway."""
        return self._accounts.get(gateway)

    def samples_stored(self, gateway: str) -> int:
        """How many samples of a gateway this ledger counted as stored."""
        account = self._accounts.get(gateway)
        return account.samples_stored if account else 0

    def apply(self, entries: Iterable[Entry], now_ms: int) -> list[Gap]:
        """Enter stored reports in the order of arrival; returns the gaps that they reveal.

        The entries of a large fleet may be held for a second (see WriteCoalescer).
        """
        gaps: list[Gap] = []
        self._held.add(entries)
        for entry in self._held.take(now_ms):
            if isinstance(entry, Receipts):
                self._receive_many(entry)
                continue
            account = self._account(entry.gateway)
            match entry:
                case Receipt():
                    self._receive(account, entry)
                case OutboxBounds(upcoming=None):
                    gaps.extend(
                        account.close_gaps_below(entry.oldest, now_ms) if account.known else ()
                    )
                    self._open_account(account)
                case OutboxBounds(upcoming=int(upcoming)):
                    gaps.extend(account.take_bounds(entry.oldest, upcoming, now_ms))
                    self._open_account(account, again=True)
                case UnnumberedSamples():
                    account.samples_stored += entry.samples
                    account.changed = True
                    self._days.store(entry)
                case GatewayCount():
                    self._days.count(entry)
            if account.changed:
                self._changed[entry.gateway] = None
        self._gaps.extend(gaps)
        return gaps

    def flush(self) -> None:
        """Enter held entries with the next ``apply``."""
        self._held.flush()

    def _account(self, gateway: str) -> Account:
        account = self._accounts.get(gateway)
        if account is None:
            account = self._accounts[gateway] = Account(gateway)
        return account

    def _receive_many(self, entry: Receipts) -> None:
        """Enter ranges of consecutive reports as one each, all others one by one."""
        receipts, ranges = split_ranges(entry)
        accounts, add_to_day, is_open = self._accounts, self._days.add, self._open
        changed = self._changed
        for gateway, first, last, samples, late, day, begin, end in ranges:
            account = accounts.get(gateway) or self._account(gateway)
            if account.receive_range(first, last, samples):
                add_to_day(gateway, day, samples, late)
                if not account.open:
                    account.open = True
                    is_open.append(account)
            else:
                for receipt in receipts.select(slice(begin, end)).one_by_one():
                    self._receive(account, receipt)
            if account.changed:
                changed[gateway] = None

    def _receive(self, account: Account, entry: Receipt) -> None:
        before = account.through
        if account.receive(entry.batch, entry.samples):
            self._days.store(entry)
        self._open_account(account, again=account.through == before)

    def _open_account(self, account: Account, *, again: bool = False) -> None:
        account.again |= again
        if not account.open:
            account.open = True
            self._open.append(account)

    def due(self, now_ms: int) -> list[AckThrough]:
        """What to acknowledge now. Call it only after the ledger is committed."""
        due, waiting = [], []
        for account in self._open:
            through = account.through
            moved = through != account.sent
            wanted = account.known and (moved or account.again)
            if wanted and 0 <= now_ms - account.sent_ms < (SHORTEST_MS if moved else REPEAT_MS):
                waiting.append(account)
                continue
            account.open = False
            if wanted:
                account.sent, account.sent_ms, account.again = through, now_ms, False
                due.append(AckThrough(account.gateway, through))
        self._open = waiting
        return due

    def has_changes(self) -> bool:
        """Whether anything is unsaved."""
        return bool(self._changed or self._gaps or self._days)

    def save(self, connection: Connection) -> None:
        """Write what changed. Call ``saved`` after the commit."""
        rows = [self._row(self._accounts[gateway]) for gateway in self._changed]
        put_rows(connection, schema.ledger, rows)
        if self._gaps:
            gaps = [
                {"gateway_id": g.gateway, "first": g.first, "last": g.last, "reason": g.reason,
                 "time_ms": g.time_ms}
                for g in self._gaps
            ]  # fmt: skip
            connection.execute(sa.insert(schema.ledger_gaps), gaps)
        self._days.save(connection)

    def _row(self, account: Account) -> tuple[object, ...]:
        (_, through), *above = account.batches.ranges()
        ranges = json.dumps(above) if above else "[]"
        return account.gateway, through, ranges, account.samples_stored, account.known

    def saved(self) -> None:
        """Note that the last save is committed."""
        for gateway in self._changed:
            self._accounts[gateway].changed = False
        self._changed.clear()
        self._gaps.clear()
        self._days.clear()
