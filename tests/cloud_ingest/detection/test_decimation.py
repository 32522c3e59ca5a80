"""Judgements that hold until the next one, compared with a loop over the samples."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.detection.decimation import ScorableSamples, prefer_faults
from cloud_ingest.detection.detector import HeldScores, Scores
from telemetry.batches import SampleBatch

series_marks = st.lists(st.lists(st.booleans(), min_size=1, max_size=8), min_size=1, max_size=6)


def samples_of(marks: list[list[bool]]) -> tuple[ScorableSamples, np.ndarray]:
    series = [i for i, run in enumerate(marks) for _ in run]
    n = len(series)
    batch = SampleBatch.of(series, range(1000, 1000 + n), [0.0] * n, [1] * n)
    samples = ScorableSamples.of(batch, np.full(len(marks), -1, np.int64))
    return samples, np.array([m for run in marks for m in run])


@given(series_marks)
def test_until_second_marks_samples_up_to_the_second_marked_one_of_their_series(marks):
    samples, mark = samples_of(marks)
    expected = [sum(run[:i]) <= 1 for run in marks for i in range(len(run))]
    assert samples.until_second(mark).tolist() == expected


def scores_of(tags: list[float], reasons: list[int]) -> Scores:
    x = np.array(tags)
    return Scores(
        x, x + 10, x + 20, x + 30, np.array(reasons, np.uint8), x.astype(np.int64) + 40, x + 50
    )


@st.composite
def standing(draw, n: int, first_tag: int):
    more = draw(st.sets(st.integers(1, n - 1))) if n > 1 else set()
    begin = sorted({0, *more})
    tags = [float(first_tag + i) for i in range(len(begin))]
    reasons = draw(st.lists(st.integers(0, 2), min_size=len(begin), max_size=len(begin)))
    return HeldScores(np.array(begin), scores_of(tags, reasons), np.arange(n) + 7000)


def one_by_one(one: HeldScores) -> list[tuple[float, ...]]:
    """For each sample: score, expected, low, high, reason, since, onset."""
    judged, found, at = one.judged, [], -1
    for i in range(len(one)):
        begins = i in one.begin.tolist()
        at += begins
        reason = int(judged.reason[at])
        found.append(
            (
                judged.score[at], judged.expected[at], judged.low[at], judged.high[at], reason,
                int(judged.since_ms[at]) if reason else 7000 + i,
                judged.onset[at] if begins else 0.0,
            )
        )  # fmt: skip
    return found


def rows_of(one: HeldScores | Scores) -> list[tuple[float, ...]]:
    return list(
        zip(
            one.score.tolist(), one.expected.tolist(), one.low.tolist(), one.high.tolist(),
            one.reason.tolist(), one.since_ms.tolist(), one.onset.tolist(), strict=True,
        )
    )  # fmt: skip


@given(st.data(), st.integers(1, 12))
def test_a_judgement_holds_until_the_next(data, n):
    one = data.draw(standing(n, 1))
    assert rows_of(one) == one_by_one(one)
    assert rows_of(one.select(np.arange(n)[::-1])) == one_by_one(one)[::-1]


@given(st.data(), st.integers(1, 12), st.integers(100, 113))
def test_a_high_fault_score_replaces_the_statistical_score(data, n, score):
    world, sensor = data.draw(standing(n, 1)), data.draw(standing(n, 100))
    both = zip(one_by_one(world), one_by_one(sensor), strict=True)
    expected = [theirs if theirs[0] >= score else ours for ours, theirs in both]
    assert rows_of(prefer_faults(world, sensor, score)) == expected
