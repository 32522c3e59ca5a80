"""Reports that are numbered but not on disk yet."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from edge_agent.outbox.sqlite.row_format import StoredReport

_ROW_BYTES = 48

Numbered = tuple[StoredReport, int]
"""A report, and the total of samples ever measured up to it."""


class WriteBuffer:
    """The reports in the order of their numbers."""

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
        """How many samples wait."""
        return sum(report.count for report, _ in self._reports)

    def add(self, report: StoredReport, measured: int) -> None:
        """Put a report behind the others."""
        self._reports.append((report, measured))

    def part(self, most_bytes: int) -> list[Numbered]:
        """The first reports, as many as take ``most_bytes`` on disk; at least one."""
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
        """Forget what the cloud has; returns how many samples."""
        samples = 0
        while self._reports and self._reports[0][0].batch <= through:
            samples += self._reports.popleft()[0].count
        return samples

    def after(self, batch: int) -> list[StoredReport]:
        """Reports with numbers above ``batch`` whose times are of the calendar."""
        return [report for report, _ in self._reports if report.batch > batch and report.stamped]

    def take_all(self) -> Iterable[StoredReport]:
        """All of them; nothing waits any more."""
        reports, self._reports = self._reports, deque()
        return [report for report, _ in reports]

    def shift(self, shift_ms: int) -> None:
        """Give calendar time to those that do not have it yet."""
        self._reports = deque((shifted(r, shift_ms), measured) for r, measured in self._reports)

    def bound(self, most_samples: int) -> int:
        """Empty the oldest until no more than ``most_samples`` wait; returns how many went."""
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
    """``report`` with calendar time, if it does not have it yet."""
    return report if report.stamped else replace(report, time_ms=report.time_ms + shift_ms)
