"""A set of integers that come in long ranges, such as the numbers of reports."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise


class RangeSet:
    """Integers as disjoint ranges, each from its first to its last number.

    A change of the set is one assignment to one list, so another thread may read the set at any time.
    """

    __slots__ = ("_bounds",)

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        # The first number of each range and the one after its last, ascending. A number is in the
        # set if the bounds up to and including it are odd in number.
        self._bounds: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __bool__(self) -> bool:
        return bool(self._bounds)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self._bounds == other._bounds

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RangeSet({self.ranges()})"

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._bounds, number) % 2 == 1

    def has_all(self, first: int, last: int) -> bool:
        """True if every number from ``first`` to ``last`` is in the set."""
        i = bisect_right(self._bounds, first)
        return i % 2 == 1 and last < self._bounds[i]

    def has_any(self, first: int, last: int) -> bool:
        """True if a number from ``first`` to ``last`` is in the set."""
        i = bisect_right(self._bounds, first)
        return first <= last and (i % 2 == 1 or (i < len(self._bounds) and self._bounds[i] <= last))

    @property
    def lowest(self) -> int | None:
        """The smallest number; None if the set is empty."""
        return self._bounds[0] if self._bounds else None

    @property
    def highest(self) -> int | None:
        """The largest number; None if the set is empty."""
        return self._bounds[-1] - 1 if self._bounds else None

    def range_end(self, number: int) -> int:
        """The last number of the range that holds ``number``; KeyError if none does."""
        i = bisect_right(self._bounds, number)
        if i % 2 == 0:
            raise KeyError(number)
        return self._bounds[i] - 1

    def ranges(self) -> list[tuple[int, int]]:
        """First and last number of each range, ascending."""
        bounds = self._bounds.copy()
        return [(a, b - 1) for a, b in zip(bounds[::2], bounds[1::2], strict=True)]

    def gaps(self, first: int, last: int) -> list[tuple[int, int]]:
        """First and last number of each range between ``first`` and ``last`` not in the set."""
        inside = [(a, b) for a, b in self.ranges() if first <= b and a <= last]
        ends = [(first - 1, first - 1), *inside, (last + 1, last + 1)]
        return [(b + 1, a - 1) for (_, b), (a, _) in pairwise(ends) if b + 1 < a]

    def add(self, first: int, last: int) -> None:
        """Put in every number from ``first`` to ``last``; nothing if ``last`` is below ``first``."""
        if first <= last:
            self._replace(first, last + 1, parity=0)

    def remove(self, first: int, last: int) -> None:
        """Take out every number from ``first`` to ``last``."""
        if first <= last:
            self._replace(first, last + 1, parity=1)

    def _replace(self, first: int, end: int, *, parity: int) -> None:
        """Put bounds at ``first`` and ``end``, where an even (0) or odd (1) number is below."""
        i, j = bisect_left(self._bounds, first), bisect_right(self._bounds, end)
        begin = [first] if i % 2 == parity else []
        self._bounds[i:j] = [*begin, end] if j % 2 == parity else begin

    def clear(self) -> None:
        """Take out every number."""
        self._bounds.clear()
