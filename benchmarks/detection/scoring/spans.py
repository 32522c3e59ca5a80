"""Compares spans of alerts with spans of labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JOIN = 4
"""Rows at most this far apart belong to one event."""
NEAR = 1
"""A span at most this many rows away meets a label, because a spike is detected when it is over."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class EventScore:
    """Numbers of labelled, found, alerted and true events, and the length of the data."""

    labelled: int
    found: int
    alerted: int
    true: int
    sensor_weeks: float

    @property
    def recall(self) -> float:
        """Share of the labelled events that were found."""
        return self.found / self.labelled if self.labelled else 0.0

    @property
    def precision(self) -> float:
        """Share of the alerts that meet a label."""
        return self.true / self.alerted if self.alerted else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def false_per_week(self) -> float:
        """Alerts that meet no label, per sensor-week."""
        return (self.alerted - self.true) / self.sensor_weeks if self.sensor_weeks else 0.0

    def __add__(self, other: "EventScore") -> "EventScore":
        return EventScore(
            self.labelled + other.labelled,
            self.found + other.found,
            self.alerted + other.alerted,
            self.true + other.true,
            self.sensor_weeks + other.sensor_weeks,
        )


NOTHING = EventScore(0, 0, 0, 0, 0.0)


def spans(marked: NDArray[np.bool_], join: int = JOIN) -> list[Span]:
    """First and last row of each event."""
    rows = np.flatnonzero(marked)
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) > join)
    firsts = rows[np.r_[0, breaks + 1]]
    lasts = rows[np.r_[breaks, len(rows) - 1]]
    return [(int(a), int(b)) for a, b in zip(firsts, lasts, strict=True)]


def score_events(
    labelled: NDArray[np.bool_], alerted: NDArray[np.bool_], sensor_weeks: float
) -> EventScore:
    """Compare the alerts of one series with its labels, both given row by row."""
    truth, alarms = spans(labelled), spans(alerted)
    found = sum(_meets(span, alarms) for span in truth)
    true = sum(_meets(span, truth) for span in alarms)
    return EventScore(len(truth), found, len(alarms), true, sensor_weeks)


def _meets(span: Span, others: list[Span]) -> bool:
    first, last = span[0] - NEAR, span[1] + NEAR
    return any(a <= last and b >= first for a, b in others)
