"""What rules over the same series need not each keep for themselves: members and buckets of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alert_rules.evaluator import Evaluator, SeriesIndex, SortedSamples, State
from alert_rules.rule import Selector, Threshold
from alert_rules.windows import (
    BitWindow,
    BucketAggregator,
    Buckets,
    ClosedWindows,
    SlidingWindow,
    TumblingWindow,
)
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.series import Series

Wanted = Callable[[Series], bool]


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """What a rule watches to know of the last buckets.

    ``extremes``: also the range of each step; ``length``: windows of so many buckets, of which only
    those count that hold at least a share ``completeness`` of their samples. Of such windows it
    watches the buckets' means, or only the mean of those ``tumbling``, or only which buckets were
    ``past`` a threshold: either takes a fraction of the room.
    """

    extremes: bool = False
    length: int = 0
    completeness: float = 0.0
    tumbling: bool = False
    past: Threshold | None = None

    @property
    def name(self) -> str:
        """Names windows that others can share."""
        if self.past is not None:
            threshold = self.past
            limits = f"{threshold.comparison} {threshold.low} {threshold.high} {threshold.circular}"
            return f"{self.completeness} {self.length} {limits}"
        if self.tumbling:
            return f"{self.completeness} {self.length}"
        return f"{self.completeness}"


class Resampler:
    """The buckets of one length of all series that some rule asks about, and the means of the last.

    Where levels are averaged as energies, ``energy`` gathers energies.
    """

    def __init__(
        self,
        bucket_ms: int,
        *,
        energy: bool = False,
        index_of: Callable[[str], SeriesIndex] | None = None,
    ) -> None:
        self.index = SeriesIndex()
        self.bucket_ms = bucket_ms
        self._energy = energy
        self._index_of = index_of
        self._aggregator = BucketAggregator(bucket_ms, coarse=True)
        self._windows: dict[str, SlidingWindow] = {}
        self._bits: dict[str, tuple[WindowSpec, BitWindow]] = {}
        self._tumbling: dict[str, tuple[WindowSpec, TumblingWindow]] = {}
        self._wanted: dict[str, Wanted] = {}
        self._bound: Sequence[Series] | None = None
        self._samples: SortedSamples | None = None
        self._buckets: Buckets | None = None
        self._looked: dict[str, Float64] = {}
        self._ended: dict[str, ClosedWindows] = {}

    def ask(self, selection: str, wanted: Wanted, spec: WindowSpec) -> None:
        """Take in a rule's series before any are threshold; what it asks for is kept for all of them."""
        self._wanted[selection] = wanted
        if spec.extremes:
            self._aggregator.keep_extremes()
        if spec.past is not None:
            self._bits.setdefault(spec.name, (spec, BitWindow(spec.length, self.bucket_ms)))
        elif spec.tumbling:
            clock = TumblingWindow(spec.length, self.bucket_ms)
            self._tumbling.setdefault(spec.name, (spec, clock))
        elif spec.length:
            windows = self._windows.setdefault(spec.name, SlidingWindow(1, self.bucket_ms))
            windows.lengthen(spec.length)

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known; the second rule with the same ones finds it done."""
        if series is self._bound:
            return
        if self._bound is None and self._index_of is not None:
            self.index = self._index_of(" or ".join(sorted(self._wanted)))
        self._bound = series
        self.index.bind(series, lambda one: any(w(one) for w in self._wanted.values()))
        self._aggregator.grow(len(self.index))
        for kept in self._kept().values():
            kept.grow(len(self.index))

    def _kept(self) -> dict[str, SlidingWindow | TumblingWindow]:
        """All windows, by what their names in a state end with."""
        found: dict[str, SlidingWindow | TumblingWindow] = {
            f" {n}": w for n, w in self._windows.items()
        }
        found |= {f" {n}": w for n, (_, w) in self._tumbling.items()}
        return found | {f" {n}": w for n, (_, w) in self._bits.items()}

    def advance(self, samples: SortedSamples) -> Buckets | None:
        """The buckets that these samples complete, by row (None: none); worked out once."""
        if samples is not self._samples:
            row, chosen = self.index.select(samples)
            value = samples.value if chosen is None else samples.value[chosen]
            time_ms = samples.time_ms if chosen is None else samples.time_ms[chosen]
            if self._energy:
                value = 10.0 ** (value / 10.0)
            self._buckets = self._aggregator.advance(row, time_ms, value)
            self._samples, self._looked, self._ended = samples, {}, {}
        return self._buckets

    def forget(self) -> None:
        """Let go of the samples just judged."""
        self._samples, self._buckets, self._looked, self._ended = None, None, {}, {}

    def look_back(self, spec: WindowSpec) -> Float64:
        """For each step just completed the means of as many buckets, newest first; NaN: none."""
        if spec.name not in self._looked:
            buckets, mean = self._counting(spec)
            window = self._windows[spec.name].look_back(buckets.row, buckets.number, mean)
            self._looked[spec.name] = window
        return self._looked[spec.name][:, : spec.length]

    def marks(self, spec: WindowSpec) -> Bool:
        """For each step just completed whether it and those before it are past, newest first."""
        assert spec.past is not None
        if spec.name not in self._looked:
            buckets, mean = self._counting(spec)
            past = spec.past.breached(mean) & ~np.isnan(mean)
            _, marks = self._bits[spec.name]
            one_or_zero = past.astype(np.float64)
            self._looked[spec.name] = marks.look_back(buckets.row, buckets.number, one_or_zero)
        found: Bool = self._looked[spec.name] == 1.0
        return found

    def ended(self, spec: WindowSpec) -> ClosedWindows:
        """The windows by the clock that the buckets just completed have ended."""
        if spec.name not in self._ended:
            buckets, mean = self._counting(spec)
            _, clock = self._tumbling[spec.name]
            ended = clock.advance(buckets.row, buckets.number, buckets.following, mean)
            self._ended[spec.name] = ended
        return self._ended[spec.name]

    def _counting(self, spec: WindowSpec) -> tuple[Buckets, Float64]:
        """The buckets just completed, and their means, NaN where there were too few samples."""
        buckets = self._buckets
        assert buckets is not None
        interval_ms = self.index.intervals_ms(buckets.row)
        counts = buckets.count >= samples_needed(interval_ms, self.bucket_ms, spec.completeness)
        return buckets, np.where(counts, buckets.mean, np.nan)

    def rows_in(self, index: SeriesIndex, buckets: Buckets) -> tuple[Int32, Bool | None]:
        """The rows of buckets in another index, and which buckets are theirs (None: all)."""
        if index.has_rows_of(self.index):
            return buckets.row, None
        row = index.rows_of(self.index.numbers_of(buckets.row))
        mine = row >= 0
        return (row, None) if mine.all() else (row[mine], mine)

    def end_ms(self, number: Int64) -> Int64:
        """When buckets end, in UTC milliseconds."""
        return self._aggregator.end_ms(number)

    def state(self) -> State:
        """The buckets under way and the means of the last ones."""
        found = self._aggregator.state()
        for end, kept in self._kept().items():
            found |= {f"{k}{end}": v for k, v in kept.state().items()}
        return found

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._aggregator.restore(state)
        for end, kept in self._kept().items():
            kept.restore({k.removesuffix(end): v for k, v in state.items() if k.endswith(end)})


class SharedState:
    """Where the rules of an engine find what others keep already."""

    def __init__(self) -> None:
        self.resamplers: dict[str, Resampler] = {}
        self._indexes: dict[str, SeriesIndex] = {}

    def attach(self, evaluator: Evaluator) -> None:
        """Give an evaluator the state that it can share; before any series is threshold to it."""
        selection = evaluator.selection_key()
        if selection is not None:
            evaluator.index = self.series_index(selection)
        if isinstance(evaluator, BucketEvaluator):
            evaluator.use(self.resampler(evaluator.buckets.bucket_ms, energy=evaluator.energy))

    def series_index(self, selection: str) -> SeriesIndex:
        """The index that all rules with the same selection key share."""
        return self._indexes.setdefault(selection, SeriesIndex())

    def resampler(self, bucket_ms: int, *, energy: bool = False) -> Resampler:
        """The buckets of a length."""
        name = f"{bucket_ms} energy" if energy else str(bucket_ms)
        return self.resamplers.setdefault(
            name, Resampler(bucket_ms, energy=energy, index_of=self.series_index)
        )

    def forget(self) -> None:
        """Let go of the samples just judged."""
        for resampler in self.resamplers.values():
            resampler.forget()


class BucketEvaluator(Evaluator):
    """Judges completed buckets of time of the selected series, gathered by itself or for many."""

    def __init__(
        self,
        select: Selector,
        bucket_ms: int,
        spec: WindowSpec,
        *,
        energy: bool = False,
    ) -> None:
        super().__init__()
        self._select = select
        self.spec = spec
        self.buckets = Resampler(bucket_ms, energy=energy)
        self.energy = energy
        self._shares = False
        self._ask()

    def _ask(self) -> None:
        self.buckets.ask(self.selection_key(), self.watches, self.spec)

    def use(self, buckets: Resampler) -> None:
        """Read ``buckets``, which other rules read too and somebody else keeps."""
        self.buckets = buckets
        self._shares = True
        self._ask()

    def selection_key(self) -> str:
        """The selector."""
        return self._select.model_dump_json()

    def watches(self, series: Series) -> bool:
        """Every selected series."""
        return self._select.matches(series)

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known, here and where buckets are gathered."""
        self.buckets.bind(series)
        super().bind(series)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step."""
        return self.index.gap_ms(given_ms, self.buckets.bucket_ms)

    def state(self) -> State:
        """The buckets, unless somebody else keeps them."""
        return {} if self._shares else self.buckets.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        if not self._shares:
            self.buckets.restore(state)


def samples_needed(interval_ms: Int64, bucket_ms: int, completeness: float) -> Float64:
    """How many samples make a step count: a share of those expected, one where that is unknown."""
    expected = np.where(interval_ms > 0, bucket_ms / np.maximum(interval_ms, 1), 1.0)
    return np.maximum(np.floor(expected * completeness), 1.0)
