"""Scoring of the Numenta Anomaly Benchmark, version 1.

Definition: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta
Anomaly Benchmark", 2015, and the benchmark's published scoring rules. The first 15 % of a file
(of at most 5,000 rows) are not scored. The earliest detection inside a window is worth up to 1, by
a sigmoid of its position in the window. A detection outside costs up to the weight of the profile,
less shortly after a window. A window without detection costs the weight of the profile. The sum
over all files is normalised so that a silent detector has 0 and a perfect one 100.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROBATION = 0.15
PROBATION_ROWS = 5000
FAR_BEHIND = 3.0
NO_WINDOW = -1


@dataclass(frozen=True, slots=True)
class Profile:
    """Costs of a false positive and of a missed window; a found window is worth 1."""

    name: str
    false_positive: float
    false_negative: float


STANDARD = Profile("standard", 0.11, 1.0)
REWARD_LOW_FP = Profile("reward_low_fp", 0.22, 1.0)
REWARD_LOW_FN = Profile("reward_low_fn", 0.11, 2.0)
PROFILES = (STANDARD, REWARD_LOW_FP, REWARD_LOW_FN)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFile:
    """Anomaly scores of a file and its label windows as first and last row, inclusive."""

    name: str
    score: NDArray[np.float64]
    windows: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CorpusScore:
    """The normalised score with found and missed windows and false positive rows."""

    score: float
    threshold: float
    found: int
    missed: int
    false_positives: int


def sigmoid(position: float) -> float:
    """1 at the start of a window, 0 at its end (position 0), -1 far behind it."""
    if position >= FAR_BEHIND:
        return -1.0
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


_EARLIEST = sigmoid(-1.0)


def probation_rows(rows: int) -> int:
    """Number of rows at the start of a file that are not scored."""
    return int(min(math.floor(PROBATION * rows), PROBATION * PROBATION_ROWS))


def row_weights(
    rows: int, windows: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The value of a detection in each row (before the weights of the profile), and its window.

    Inside a window the weight is positive, outside negative and the window is NO_WINDOW.
    """
    weight = np.full(rows, -1.0)
    window = np.full(rows, NO_WINDOW, dtype=np.int64)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        for row in range(first, last + 1):
            weight[row] = sigmoid(-(last - row + 1) / width) / _EARLIEST
        window[first : last + 1] = number
        following = windows[number + 1][0] if number + 1 < len(windows) else rows
        for row in range(last + 1, following):
            position = (row - last) / (width - 1) if width > 1 else FAR_BEHIND
            if position >= FAR_BEHIND:
                break
            weight[row] = sigmoid(position)
    return weight, window


class Corpus:
    """Scored files, which can be evaluated at any threshold."""

    def __init__(self, files: Sequence[ScoredFile]) -> None:
        self.windows = sum(len(file.windows) for file in files)
        scores, weights, windows = [], [], []
        offset = 0
        for file in files:
            weight, window = row_weights(len(file.score), file.windows)
            start = probation_rows(len(file.score))
            scores.append(file.score[start:])
            weights.append(weight[start:])
            windows.append(np.where(window[start:] >= 0, window[start:] + offset, NO_WINDOW))
            offset += len(file.windows)
        self._score = np.concatenate(scores)
        self._weight = np.concatenate(weights)
        self._window = np.concatenate(windows)

    def judge(self, threshold: float, profile: Profile) -> CorpusScore:
        """The score when every row at or above the threshold is a detection."""
        hit = self._score >= threshold
        inside = self._window != NO_WINDOW
        scorable = np.unique(self._window[inside])
        found = len(np.unique(self._window[hit & inside]))
        return CorpusScore(
            normalise(self.raw(threshold, profile), self.windows, profile),
            threshold,
            found,
            len(scorable) - found,
            int((hit & ~inside).sum()),
        )

    def raw(self, threshold: float, profile: Profile) -> float:
        """The sum of the values of all windows and false detections, not normalised."""
        hit = self._score >= threshold
        inside = self._window != NO_WINDOW
        total = profile.false_positive * float(self._weight[hit & ~inside].sum())
        for window in np.unique(self._window[inside]):
            weights = self._weight[hit & (self._window == window)]
            total += float(weights.max()) if len(weights) else -profile.false_negative
        return total

    def best(self, profile: Profile) -> CorpusScore:
        """The score at the best threshold for these files."""
        return self.judge(self._best_threshold(profile), profile)

    def _best_threshold(self, profile: Profile) -> float:
        inside = self._window != NO_WINDOW
        levels = [self._score[~inside]]
        gains = [profile.false_positive * self._weight[~inside]]
        for window in np.unique(self._window[inside]):
            rows = np.flatnonzero(self._window == window)
            rows = rows[np.argsort(-self._score[rows], kind="stable")]
            best_so_far = np.maximum.accumulate(self._weight[rows])
            levels.append(self._score[rows])
            gains.append(np.diff(best_so_far, prepend=-profile.false_negative))
        level, gain = np.concatenate(levels), np.concatenate(gains)
        order = np.argsort(-level, kind="stable")
        level, total = level[order], np.cumsum(gain[order])
        # Of rows with equal scores only the last one is a possible threshold.
        last = np.r_[level[1:] != level[:-1], True]
        if not len(level) or total[last].max() <= 0:
            return math.inf
        place = np.flatnonzero(last)[np.argmax(total[last])]
        return float(level[place])


THRESHOLDS = np.geomspace(0.4, 5.0, 64)
"""Candidate thresholds."""
_AROUND = 11  # candidates in a mean, a fifth of the threshold to either side


def values_by_threshold(file: ScoredFile, profile: Profile) -> NDArray[np.float64]:
    """The value of one file at each candidate threshold, not normalised."""
    corpus = Corpus([file])
    return np.array([corpus.raw(float(threshold), profile) for threshold in THRESHOLDS])


def middle_of_plateau(totals: NDArray[np.float64]) -> int:
    """Index of the candidate around which the mean value is highest."""
    around = np.convolve(totals, np.ones(_AROUND) / _AROUND, "valid")
    return int(around.argmax()) + _AROUND // 2


def normalise(total: float, windows: int, profile: Profile) -> float:
    """A sum over files as a score: 0 for a silent detector, 100 for a perfect one."""
    silent = -profile.false_negative * windows
    return 100.0 * (total - silent) / (windows - silent) if windows else 0.0
