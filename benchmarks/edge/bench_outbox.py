"""Durable samples a second into the outbox, and how many bytes a disk has to take for each.

Four threads (buses) put reports of twenty samples and wait until each is durable. Reference: the
same rows, one a sample, in a plain SQLite table with the same durability, one transaction a report.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.result import Result
from edge_agent.outbox import Outbox, Report
from telemetry.samples import Sample

METRICS, THREADS = 20, 4
REPORTS = 150
"""By each thread, in each of ROUNDS."""
ROUNDS = 4
T0 = 1_790_000_000_000


def run() -> list[Result]:
    """Speed with several buses at once; bytes written with one bus that reports alone."""
    with tempfile.TemporaryDirectory(prefix="quantrac-outbox-") as name:
        folder = Path(name)
        outbox, plain = Outbox(folder / "outbox.db"), Plain(folder / "plain.db")
        ours = theirs = 0.0
        for _ in range(ROUNDS):  # in turn, because a shared disk has moods; the best of each counts
            ours = max(ours, _rate(outbox.put))
            theirs = max(theirs, _rate(plain.put))
        outbox.close()
        quiet = Outbox(folder / "quiet.db")
        ours_bytes = _bytes_a_sample(quiet.put)
        quiet.close()
        theirs_bytes = _bytes_a_sample(Plain(folder / "quiet-plain.db").put)
    reference = "plain SQLite rows, a transaction a report"
    return [
        Result("outbox", "durable samples from four buses", ours, "samples/s", reference, theirs, 1.0),
        Result(
            "outbox-writes", "bytes written to disk for a sample, one bus", ours_bytes, "B",
            reference, theirs_bytes, 1.0, higher_is_better=False,
        ),
    ]  # fmt: skip


class Plain:
    """What one writes first: a table with a row for each sample."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE sample(id INTEGER PRIMARY KEY, device TEXT, metric TEXT, time_ms INTEGER, "
            "value REAL, quality INTEGER)"
        )

    def put(self, reports: list[Report]) -> None:
        """Insert and commit."""
        rows = [
            (r.device, s.metric, s.time_ms, s.value, int(s.flag))
            for r in reports
            for s in r.samples
        ]
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO sample(device, metric, time_ms, value, quality) VALUES(?, ?, ?, ?, ?)",
                rows,
            )
            self._connection.execute("COMMIT")


def _report(device: str, number: int) -> Report:
    time_ms = T0 + number * 1000
    return Report(
        device, tuple(Sample(f"metric_{i}", time_ms, number + i * 0.1) for i in range(METRICS))
    )


def _rate(put: Callable[[list[Report]], None]) -> float:
    def work(device: str) -> None:
        for number in range(REPORTS):
            put([_report(device, number)])

    threads = [threading.Thread(target=work, args=(f"d{i}",)) for i in range(THREADS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return THREADS * REPORTS * METRICS / (time.perf_counter() - start)


def _bytes_a_sample(put: Callable[[list[Report]], None]) -> float:
    before = _written()
    for number in range(REPORTS):
        put([_report("d", number)])
    return (_written() - before) / (REPORTS * METRICS)


def _written() -> int:
    for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(": ")
        if name == "write_bytes":
            return int(value)
    return 0
