"""A set of whole numbers that come in long runs."""

from bisect import bisect_left, bisect_right


class RangeSet:
    """Numbers as disjoint runs, each from its first to its last."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._first)

    def __contains__(self, number: int) -> bool:
        i = bisect_right(self._first, number) - 1
        return i >= 0 and number <= self._last[i]

    def has_all(self, first: int, last: int) -> bool:
        """Whether every number from ``first`` to ``last`` is in it."""
        i = bisect_right(self._first, first) - 1
        return i >= 0 and last <= self._last[i]

    def __len__(self) -> int:
        return sum(b - a + 1 for a, b in zip(self._first, self._last, strict=True))

    def runs(self) -> list[tuple[int, int]]:
        """First and last of each run, in order."""
        return list(zip(self._first, self._last, strict=True))

    @property
    def lowest(self) -> int | None:
        """The smallest number in it."""
        return self._first[0] if self._first else None

    def add(self, first: int, last: int) -> None:
        """Put in all from ``first`` to ``last``; nothing where last < first."""
        if last < first:
            return
        i = bisect_left(self._last, first - 1)
        j = bisect_right(self._first, last + 1)
        if i < j:
            first = min(first, self._first[i])
            last = max(last, self._last[j - 1])
        self._first[i:j] = [first]
        self._last[i:j] = [last]

    def remove(self, first: int, last: int) -> None:
        """Take out all from ``first`` to ``last``."""
        if last < first:
            return
        i = bisect_left(self._last, first)
        j = bisect_right(self._first, last)
        if i >= j:
            return
        before = (self._first[i], first - 1)
        after = (last + 1, self._last[j - 1])
        kept = [run for run in (before, after) if run[0] <= run[1]]
        self._first[i:j] = [a for a, _ in kept]
        self._last[i:j] = [b for _, b in kept]

    def clear(self) -> None:
        """Take out everything."""
        self._first.clear()
        self._last.clear()
