"""Reports that have a report number and are not on disk yet."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from edge_agent.outbox.sqlite.row_format import StoredReport

_ROW_BYTES = 48

Numbered = tuple[StoredReport, int]
"""A report, and the number of samples ever measured up to and including it."""


class WriteBuffer:
    """Reports in the order of their report numbers."""

    def __init__(self) -> None:
        self._reports: deque[Numbered] = deque()

    def __len__(self) -> int:
        return len(self._reports)

    def __iter__(self) -> Iterator[Numbered]:
        return iter(self._reports)

    def __getitem__(self, place: int) -> Numbered:
        return self._reports[place]

    @property
    def samples(self) -> int:
        """The number of samples in the buffer."""
        return sum(report.count for report, _ in self._reports)

    def add(self, report: StoredReport, measured: int) -> None:
        """Append a report."""
        self._reports.append((report, measured))

    def part(self, most_bytes: int) -> list[Numbered]:
        """The first reports, up to about ``most_bytes`` on disk but at least one."""
        part: list[Numbered] = []
        left = most_bytes
        for report, measured in self._reports:
            left -= len(report.data) + _ROW_BYTES
            if left < 0 and part:
                break
            part.append((report, measured))
        return part

    def written(self, reports: int) -> None:
        """The first ``reports`` of them are on disk."""
        for _ in range(reports):
            self._reports.popleft()

    def confirmed(self, through: int) -> int:
        """Remove what the cloud has stored; returns the number of samples."""
        samples = 0
        while self._reports and self._reports[0][0].batch <= through:
            samples += self._reports.popleft()[0].count
        return samples

    def after(self, batch: int) -> list[StoredReport]:
        """Reports with numbers above ``batch`` whose times are known."""
        return [report for report, _ in self._reports if report.batch > batch and report.stamped]

    def take_all(self) -> Iterable[StoredReport]:
        """Remove and return all reports."""
        reports, self._reports = self._reports, deque()
        return [report for report, _ in reports]

    def shift(self, shift_ms: int) -> None:
        """Add ``shift_ms`` to the times of reports that carry monotonic time."""
        self._reports = deque((shifted(r, shift_ms), measured) for r, measured in self._reports)

    def bound(self, most_samples: int) -> int:
        """Empty the oldest reports until at most ``most_samples`` are left; returns the evicted."""
        held = self.samples
        evicted = 0
        for i, (report, measured) in enumerate(self._reports):
            if held <= most_samples:
                break
            if report.count:
                self._reports[i] = (replace(report, count=0, data=b""), measured)
                held -= report.count
                evicted += report.count
        return evicted


def shifted(report: StoredReport, shift_ms: int) -> StoredReport:
    """``report`` with ``shift_ms`` added to its time, if that is monotonic."""
    return report if report.stamped else replace(report, time_ms=report.time_ms + shift_ms)
