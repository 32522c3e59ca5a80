"""Recovers the readable rows of a damaged file, and the times of samples of an earlier boot."""

import contextlib
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_agent.clock import FIRST_TRUSTED_MS
from edge_agent.outbox.sqlite.aliases import Aliases
from edge_agent.outbox.sqlite.checksums import Damage, check, is_sound
from edge_agent.outbox.sqlite.database import OutboxState, connect, load_state, save_state
from edge_agent.outbox.sqlite.packing import renumbered
from edge_agent.outbox.sqlite.report_table import COLUMNS, as_reports, insert_reports, is_usable
from edge_agent.outbox.sqlite.row_format import Shape, StoredReport, pack, pack_free, unpack
from telemetry.quality import Flag
from telemetry.samples import Sample


@dataclass(slots=True)
class Recovered:
    """The readable part of a damaged file.

    ``names`` are (device, metric) by alias, ``shapes`` by number; ``key_values`` is the table ``kept``.
    """

    state: OutboxState | None = None
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    shapes: dict[int, Shape] = field(default_factory=dict)
    key_values: dict[str, str] = field(default_factory=dict)
    reports: list[StoredReport] = field(default_factory=list)


def read_damaged(path: Path) -> Recovered:
    """Read each table from both ends up to the damage; never raises for what it finds."""
    recovered = Recovered()
    try:
        connection = connect(path)
    except (sqlite3.Error, OSError):
        return recovered
    with contextlib.closing(connection):
        with contextlib.suppress(sqlite3.Error):
            recovered.state = load_state(connection)
        columns = "alias, device, name, retired_at, checksum"
        for *fields, checksum in _rows(connection, "alias", columns, "alias"):
            alias, device, name, _ = fields
            with contextlib.suppress(Damage):
                check(checksum, *fields)
                if isinstance(alias, int) and isinstance(device, str) and isinstance(name, str):
                    recovered.names[alias] = (device, name)
        columns = "number, device, aliases, checksum"
        for *fields, checksum in _rows(connection, "shape", columns, "number"):
            number, device, packed = fields
            with contextlib.suppress(Damage, TypeError, struct.error):
                check(checksum, *fields)
                aliases = struct.unpack(f"<{len(packed) // 4}I", packed)
                if all(a in recovered.names for a in aliases):
                    recovered.shapes[number] = Shape(number, device or None, aliases)
        columns = "name, value, checksum"
        for name, value, checksum in _rows(connection, "kept", columns, "name"):
            with contextlib.suppress(Damage):
                check(checksum, name, value)
                recovered.key_values[name] = value
        through = recovered.state.ack_through if recovered.state else 0
        for row in _rows(connection, "report", COLUMNS, "batch"):
            batch, shape, time_ms, count, _, data, _ = row
            known = recovered.shapes.get(shape)
            if known is None or not isinstance(data, bytes) or batch <= through:
                continue
            if not is_sound(row):
                continue
            report = StoredReport(batch, known, time_ms, count, data)
            if _is_whole(report):
                recovered.reports.append(report)
    return recovered


def _rows(
    connection: sqlite3.Connection, table: str, columns: str, key: str
) -> Iterator[tuple[Any, ...]]:
    seen = None
    with contextlib.suppress(sqlite3.Error):
        for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {key}"):  # noqa: S608  # names are constants
            seen = row[0]
            yield row
        return
    with contextlib.suppress(sqlite3.Error):
        for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {key} DESC"):  # noqa: S608  # names are constants
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


def carry_over(
    connection: sqlite3.Connection,
    recovered: Recovered,
    state: OutboxState,
    aliases: Aliases,
    samples_before: int,
) -> int:
    """Write the recovered rows into a new file that replaces one with ``samples_before``.

    Updates ``state``. Returns the number of lost samples. Call this in a transaction.
    """
    saved = restore(connection, recovered, state, aliases)
    lost = max(0, samples_before - saved)
    state.evicted_total += lost
    state.measured_total += max(0, saved - samples_before)
    aliases.save(connection)
    save_state(connection, state)
    return lost


def restore(
    connection: sqlite3.Connection, recovered: Recovered, state: OutboxState, aliases: Aliases
) -> int:
    """Write recovered reports into a new file under new report numbers; returns their samples.

    New numbers, because lost reports must not leave holes: the cloud waits for every number. Call
    this in a transaction.
    """
    measured = state.measured_total - sum(r.count for r in recovered.reports)
    saved = 0
    for report in sorted(recovered.reports, key=lambda r: r.batch):
        shape = report.shape
        if any(a not in recovered.names for a in _aliases_in(report)):
            continue
        saved += report.count
        measured += report.count
        names = [recovered.names[a][1] for a in shape.aliases]
        known = aliases.shape_for(shape.device, tuple(names))
        if shape.aliases and known.aliases:
            carried = replace(report, shape=known)
        else:
            carried = renumbered(report, recovered.names, aliases)
        carried = replace(carried, batch=state.next_batch)
        insert_reports(connection, [(carried, measured)])
        state.next_batch += 1
    return saved


def _aliases_in(report: StoredReport) -> Iterable[int]:
    return report.shape.aliases or (alias for alias, *_ in unpack(report))


def restamp(
    connection: sqlite3.Connection,
    aliases: Aliases,
    shift_ms: int | None,
    *,
    same_boot: bool,
) -> None:
    """Give reports with monotonic times their UTC times, now that ``shift_ms`` is known.

    The times of reports of an earlier boot are not known exactly: the last of them is placed at
    the start of this boot, and all are marked suspect. Call this in a transaction.
    """
    found = connection.execute(
        f"SELECT {COLUMNS} FROM report WHERE time_ms < ? AND count > 0 ORDER BY batch",  # noqa: S608  # constant
        (FIRST_TRUSTED_MS,),
    ).fetchall()
    rows = [row for row in found if is_usable(row, aliases)]
    if not rows or (same_boot and shift_ms is None):
        return
    end_ms = 0 if same_boot else max(row[2] for row in rows)
    stamped = []
    for row, report in zip(rows, as_reports(rows, aliases), strict=True):
        data = report.data if same_boot else mark_suspect(report)
        time_ms = report.time_ms - end_ms + (shift_ms or 0)
        stamped.append((replace(report, time_ms=time_ms, data=data), row[4]))
    insert_reports(connection, stamped)


def mark_suspect(report: StoredReport) -> bytes:
    """The data of ``report`` with every sample that is not evaluated yet marked suspect."""
    samples = [
        Sample(str(alias), time_ms, value, Flag.SUSPECT if flag is Flag.NOT_EVALUATED else flag)
        for alias, time_ms, value, flag in unpack(report)
    ]
    if report.shape.aliases:
        return pack(samples)
    return pack_free(samples, {s.metric: int(s.metric) for s in samples})
