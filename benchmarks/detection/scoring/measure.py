"""Runs the detectors over the public data sets and computes their figures."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.scoring.data import (
    NabFile,
    Recorded,
    as_batch,
    load_air,
    load_nab,
    load_traffic,
    load_water,
    split,
)
from benchmarks.detection.scoring.inject import KINDS, Injected, inject_faults
from benchmarks.detection.scoring.nab import (
    PROFILES,
    STANDARD,
    Corpus,
    CorpusScore,
    Profile,
    ScoredFile,
    middle_of_plateau,
    normalise,
    values_by_threshold,
)
from benchmarks.detection.scoring.spans import NOTHING, EventScore, score_events
from cloud_ingest.detection import (
    Detector,
    EnsembleDetector,
    FaultDetector,
    Reason,
    Scores,
    SeasonalResidualDetector,
    threshold_for_budget,
)

NAB_THRESHOLD = 1.4
"""Fixed for all profiles: the middle of the good range on the development files (0.85 to 1.6)."""
INJECTED_QUANTITIES = ("air_temperature", "no2", "o3", "pm2_5")
YEAR = 8760
NAMED_AFTER = 12
WEEK_MS = 7 * 86_400_000
FALSE_ALLOWED = 0.09
HALVINGS = 200


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scores of files at a threshold chosen on other files.

    ``families`` and ``files``: each family or file at the threshold of all others. ``halves``
    and its ``spread``: mean and standard deviation over random halves of the files.
    """

    families: float
    files: float
    halves: float
    spread: float


@dataclass(frozen=True, slots=True)
class NabFigures:
    """Scores by profile: at the fixed threshold, held out, and at the best threshold."""

    windows: int
    frozen: dict[str, CorpusScore]
    held_out: dict[str, HeldOut]
    best: dict[str, CorpusScore]
    first_path: CorpusScore
    files: list[tuple[str, CorpusScore]]
    scored: list[ScoredFile] = field(repr=False)
    source: list[NabFile] = field(repr=False)


def judge(detector: Detector, recorded: Sequence[Recorded]) -> tuple[Scores, list[slice]]:
    """Scores of a detector for whole series, and the rows of each series in them."""
    detector.register([one.series for one in recorded])
    found = detector.update(as_batch(list(recorded)))
    return found.select(np.arange(len(found))), split(list(recorded))


def measure_nab(folder: Path) -> NabFigures:
    """The statistical layer on the files of the Numenta Anomaly Benchmark."""
    files = load_nab(folder)
    scored = score_nab(EnsembleDetector(utc_offset_h=0), files)
    corpus = Corpus(scored)
    first = Corpus(score_nab(SeasonalResidualDetector(utc_offset_h=0), files))
    return NabFigures(
        corpus.windows,
        {p.name: corpus.judge(NAB_THRESHOLD, p) for p in PROFILES},
        {p.name: _held_out(scored, p) for p in PROFILES},
        {p.name: corpus.best(p) for p in PROFILES},
        first.best(STANDARD),
        [(f.name, Corpus([f]).judge(NAB_THRESHOLD, STANDARD)) for f in scored],
        scored,
        files,
    )


def score_nab(detector: Detector, files: Sequence[NabFile]) -> list[ScoredFile]:
    """The onset of each row, because the benchmark rewards one detection for each event."""
    scores, places = judge(detector, [file.recorded for file in files])
    return [
        ScoredFile(file.name, scores.onset[place], file.windows)
        for file, place in zip(files, places, strict=True)
    ]


def _held_out(scored: Sequence[ScoredFile], profile: Profile) -> HeldOut:
    values = np.array([values_by_threshold(file, profile) for file in scored])
    windows = np.array([len(file.windows) for file in scored])
    rng = np.random.default_rng(1)
    halves = []
    for _ in range(HALVINGS):
        rest = rng.permutation(len(scored)) >= len(scored) // 2
        total = values[rest, middle_of_plateau(values[~rest].sum(axis=0))].sum()
        halves.append(normalise(float(total), int(windows[rest].sum()), profile))

    def crossed(groups: Sequence[str]) -> float:
        total = 0.0
        for group in set(groups):
            here = np.array([other == group for other in groups])
            total += float(values[here, middle_of_plateau(values[~here].sum(axis=0))].sum())
        return normalise(total, int(windows.sum()), profile)

    return HeldOut(
        crossed([file.name.split("/")[0] for file in scored]),
        crossed([file.name for file in scored]),
        float(np.mean(halves)),
        float(np.std(halves)),
    )


@dataclass(frozen=True, slots=True)
class WaterFigures:
    """Events of river sondes, in total and by site and year.

    ``held_out``: each site with all its years, at the threshold chosen on the other sites.
    """

    all: EventScore
    sites: dict[str, EventScore]
    held_out: EventScore
    simple: EventScore
    named: Counter[str]


def measure_water(folder: Path, budget: float = 1.0) -> WaterFigures:
    """The fault layer against technicians' labels."""
    recorded = _side_by_side(load_water(folder))
    scores, places = judge(FaultDetector(), recorded)
    threshold = threshold_for_budget(budget)
    simple, named = NOTHING, Counter[str]()
    for one, place in zip(recorded, places, strict=True):
        simple += score_events(one.labelled, median_rule(one.value), _weeks(one))
        starts = _starts(scores.score[place] >= threshold)
        named.update(Reason(int(code)).name for code in scores.reason[place][starts])

    def by_site(threshold: float) -> dict[str, EventScore]:
        sites: dict[str, EventScore] = defaultdict(lambda: NOTHING)
        for one, place in zip(recorded, places, strict=True):
            on = scores.score[place] >= threshold
            sites[one.series.station] += score_events(one.labelled, on, _weeks(one))
        return dict(sites)

    sites = by_site(threshold)
    held_out = leave_sites_out([by_site(other) for other in np.arange(2.3, 3.5, 0.05)])
    return WaterFigures(sum(sites.values(), NOTHING), sites, held_out, simple, named)


def leave_sites_out(tried: Sequence[dict[str, EventScore]]) -> EventScore:
    """Each site at the threshold at which the others have the best F1 with few false alarms.

    ``tried`` holds the scores by site and year for each threshold.
    """
    total = NOTHING
    for left_out in {name[:-4] for name in tried[0]}:

        def parts(scores: dict[str, EventScore], left: str = left_out, *, here: bool) -> EventScore:
            return sum((s for n, s in scores.items() if (n[:-4] == left) is here), NOTHING)

        allowed = [t for t in tried if parts(t, here=False).false_per_week <= FALSE_ALLOWED]
        chosen = max(allowed or tried[-1:], key=lambda t: parts(t, here=False).f1)
        total += parts(chosen, here=True)
    return total


def median_rule(value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A simple rule for comparison: 20 mean deviations from the median of the last five values."""
    known = np.isfinite(value) & (value > -9990)
    x = value[known]
    marked = ~known & np.isfinite(value)
    if len(x) <= 5:
        return marked
    before = np.lib.stride_tricks.sliding_window_view(x, 5)[:-1]
    distance = np.r_[np.zeros(5), np.abs(x[5:] - np.median(before, axis=1))]
    usual = np.cumsum(distance) / np.arange(1, len(x) + 1)
    marked[np.flatnonzero(known)] |= distance > 20 * np.r_[np.inf, usual[:-1]] + 1e-9
    return marked


@dataclass(frozen=True, slots=True)
class AlertRate:
    """Alerts on data without known faults."""

    name: str
    budget: float
    per_week: float
    worst: tuple[str, float]
    after_gaps: float

    @property
    def per_month(self) -> float:
        """Alerts a month and series, to compare with the budget."""
        return self.per_week * 30.44 / 7


def measure_rates(folder: Path, budgets: Sequence[float] = (4.0, 1.0)) -> list[AlertRate]:
    """Rate of statistical alerts on real data without injected faults."""
    rates = []
    sets: tuple[tuple[str, Callable[[Path], list[Recorded]], str], ...] = (
        ("Beijing air", load_air, "air_beijing"),
        ("I-94 traffic", load_traffic, "traffic_i94"),
    )
    for name, load, place in sets:
        recorded = load(folder / place)
        scores, places = judge(EnsembleDetector(utc_offset_h=0), recorded)
        rates += [_rate(name, budget, recorded, scores, places) for budget in budgets]
    return rates


def _rate(
    name: str, budget: float, recorded: list[Recorded], scores: Scores, places: list[slice]
) -> AlertRate:
    alerts: Counter[str] = Counter()
    weeks: Counter[str] = Counter()
    after = 0
    for one, place in zip(recorded, places, strict=True):
        started = _starts(scores.score[place] >= threshold_for_budget(budget))
        alerts[one.series.quantity] += int(started.sum())
        weeks[one.series.quantity] += _weeks(one)  # type: ignore[assignment]
        times = one.time_ms[np.isfinite(one.value)]
        ends = times[1:][np.diff(times) > 86_400_000]
        for moment in one.time_ms[started]:
            after += bool(((moment >= ends) & (moment < ends + 86_400_000)).any())
    worst = max(alerts, key=lambda q: alerts[q] / weeks[q])
    total = sum(alerts.values())
    share = after / total if total else 0.0
    return AlertRate(
        name, budget, total / sum(weeks.values()), (worst, alerts[worst] / weeks[worst]), share
    )


@dataclass(frozen=True, slots=True)
class KindFigures:
    """Injected faults of one kind: the number found, their delays and their names."""

    kind: str
    injected: int
    delays_h: tuple[int, ...]
    named: Counter[str]


@dataclass(frozen=True, slots=True)
class InjectedFigures:
    """Injected faults by kind, and the alerts on the same data without them."""

    kinds: list[KindFigures]
    clean_per_week: float


def measure_injected(
    folder: Path, *, budget: float = 4.0, seeds: Sequence[int] = (1, 2)
) -> InjectedFigures:
    """The fault layer on faults injected into hourly air data of six stations."""
    recorded = _first_year(load_air(folder))
    threshold = threshold_for_budget(budget)
    scores, places = judge(FaultDetector(), recorded)
    weeks = sum(_weeks(one) for one in recorded)
    clean = sum(int(_starts(scores.score[p] >= threshold).sum()) for p in places) / weeks
    delays: dict[str, list[int]] = defaultdict(list)
    named: dict[str, Counter[str]] = defaultdict(Counter)
    injected: Counter[str] = Counter()
    for seed in seeds:
        spoilt, faults = inject_faults(recorded, seed)
        scores, places = judge(FaultDetector(), spoilt)
        for fault in faults:
            injected[fault.kind] += 1
            found = _find(fault, scores, places[fault.place], threshold)
            if found is not None:
                delays[fault.kind].append(found[0])
                named[fault.kind][found[1]] += 1
    kinds = [KindFigures(k, injected[k], tuple(sorted(delays[k])), named[k]) for k in KINDS]
    return InjectedFigures(kinds, clean)


def _find(
    fault: Injected, scores: Scores, place: slice, threshold: float
) -> tuple[int, str] | None:
    started = _starts(scores.score[place] >= threshold)
    rows = np.flatnonzero(started[fault.first : fault.last + 25])
    if not len(rows):
        return None
    # The name half a day later or at the end of the event: at first a step looks like a spike.
    names = scores.reason[place][fault.first + rows[0] :][: NAMED_AFTER + 1]
    return int(rows[0]), Reason(int(names[names > 0][-1])).name


def _side_by_side(recorded: list[Recorded]) -> list[Recorded]:
    """Move the years of different sites to the same time; they are independent, and it is faster."""
    return [replace(one, time_ms=one.time_ms - one.time_ms[0]) for one in recorded]


def _first_year(recorded: list[Recorded]) -> list[Recorded]:
    chosen = [r for r in recorded if r.series.quantity in INJECTED_QUANTITIES]
    return [
        replace(
            one,
            series=replace(one.series, index=index),
            time_ms=one.time_ms[:YEAR],
            value=one.value[:YEAR],
            labelled=one.labelled[:YEAR],
        )
        for index, one in enumerate(chosen)
    ]


def _starts(on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    started: NDArray[np.bool_] = on & ~np.r_[False, on[:-1]]
    return started


def _weeks(one: Recorded) -> float:
    return float(one.time_ms[-1] - one.time_ms[0]) / WEEK_MS
