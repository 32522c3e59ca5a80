"""Saves what can be saved: rows of a damaged file, times of an earlier run of the machine."""

import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_agent.clock import FIRST_TRUSTED_MS
from edge_agent.outbox.catalogue import Catalogue
from edge_agent.outbox.database import State, connect, load_state
from edge_agent.outbox.rows import Shape, StoredReport, pack, unpack
from telemetry.quality import Flag
from telemetry.samples import Sample


@dataclass(slots=True)
class Salvage:
    """What a damaged file still gives. ``names``: (device, name) by alias; ``shapes`` by number."""

    state: State | None = None
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    shapes: dict[int, Shape] = field(default_factory=dict)
    reports: list[StoredReport] = field(default_factory=list)


def read_damaged(path: Path) -> Salvage:
    """Read from both ends of each table until the damage; never raises for what it finds."""
    salvage = Salvage()
    try:
        connection = connect(path)
    except (sqlite3.Error, OSError):
        return salvage
    with contextlib.closing(connection):
        with contextlib.suppress(sqlite3.Error):
            salvage.state = load_state(connection)
        for alias, device, name in _rows(connection, "alias", "alias, device, name", "alias"):
            if isinstance(alias, int) and isinstance(device, str) and isinstance(name, str):
                salvage.names[alias] = (device, name)
        for number, device, packed in _rows(
            connection, "shape", "number, device, aliases", "number"
        ):
            with contextlib.suppress(TypeError, struct.error):
                aliases = struct.unpack(f"<{len(packed) // 4}I", packed)
                if all(a in salvage.names for a in aliases):
                    salvage.shapes[number] = Shape(number, device or None, aliases)
        columns = "batch, shape, time_ms, count, data"
        through = salvage.state.ack_through if salvage.state else 0
        for batch, shape, time_ms, count, data in _rows(connection, "report", columns, "batch"):
            known = salvage.shapes.get(shape)
            if known is None or not isinstance(data, bytes) or batch <= through:
                continue
            report = StoredReport(batch, known, time_ms, count, data)
            if _is_whole(report):
                salvage.reports.append(report)
    return salvage


def _rows(
    connection: sqlite3.Connection, table: str, columns: str, key: str
) -> Iterator[tuple[Any, ...]]:
    seen = None
    with contextlib.suppress(sqlite3.Error):
        for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {key}"):  # noqa: S608
            seen = row[0]
            yield row
        return
    with contextlib.suppress(sqlite3.Error):
        for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {key} DESC"):  # noqa: S608
            if seen is not None and row[0] <= seen:
                return
            yield row


def _is_whole(report: StoredReport) -> bool:
    if not isinstance(report.time_ms, int) or not report.count:
        return False
    size, n = len(report.data), len(report.shape.aliases)
    if n == 0:
        return size == 17 * report.count
    return report.count == n and size in (8 * n, 13 * n)


def restore(
    connection: sqlite3.Connection, salvage: Salvage, state: State, catalogue: Catalogue
) -> int:
    """Put salvaged reports into a new file under new numbers; returns how many samples.

    New numbers, because the cloud waits for every number between two: what was lost must not
    leave a hole. To be called in a transaction.
    """
    saved = 0
    for report in sorted(salvage.reports, key=lambda r: r.batch):
        shape = report.shape
        aliases: dict[int, int] = {}
        for alias in shape.aliases:
            device, name = salvage.names[alias]
            aliases[alias] = catalogue.aliases(device or None, [name])[name]
        known = catalogue.shape(shape.device, [aliases[a] for a in shape.aliases])
        if len(known.aliases) != len(shape.aliases):
            continue
        saved += report.count
        connection.execute(
            "INSERT INTO report(batch, shape, time_ms, count, measured, data) "
            "VALUES(?, ?, ?, ?, ?, ?)",
            (state.next_batch, known.number, report.time_ms, report.count, state.measured_total,
             report.data),
        )  # fmt: skip
        state.next_batch += 1
    return saved


def restamp(
    connection: sqlite3.Connection,
    catalogue: Catalogue,
    shift_ms: int | None,
    *,
    same_boot: bool,
) -> None:
    """Give reports of an untrusted clock their times, now that ``shift_ms`` is known.

    Those of an earlier run of the machine cannot be placed exactly: they are taken to end where
    this run begins, and marked suspect. To be called in a transaction.
    """
    rows = connection.execute(
        "SELECT batch, shape, time_ms, count, data FROM report WHERE time_ms < ? AND count > 0",
        (FIRST_TRUSTED_MS,),
    ).fetchall()
    if not rows:
        return
    if not same_boot:
        end = max(row[2] for row in rows)
        for batch, shape, time_ms, count, data in rows:
            report = StoredReport(batch, catalogue.shape_of(shape), time_ms, count, data)
            connection.execute(
                "UPDATE report SET time_ms = ?, data = ? WHERE batch = ?",
                (time_ms - end, suspect(report), batch),
            )
    if shift_ms is not None:
        connection.execute(
            "UPDATE report SET time_ms = time_ms + ? WHERE time_ms < ?",
            (shift_ms, FIRST_TRUSTED_MS),
        )


def suspect(report: StoredReport) -> bytes:
    """The data of ``report`` with every sample that is not judged yet marked suspect."""
    samples = [
        Sample(str(alias), time_ms, value, Flag.SUSPECT if flag is Flag.NOT_EVALUATED else flag)
        for alias, time_ms, value, flag in unpack(report)
    ]
    return report.data if not report.shape.aliases else pack(samples)


def shifted(report: StoredReport, shift_ms: int) -> StoredReport:
    """``report`` with calendar time, if it does not have it yet."""
    return report if report.stamped else replace(report, time_ms=report.time_ms + shift_ms)
