"""State shared by rules that watch the same series: the series index, buckets and windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alert_rules.buckets import BucketAggregator, Buckets
from alert_rules.evaluator import Evaluator, SeriesIndex, SortedSamples, State
from alert_rules.rule import Selector, Threshold
from alert_rules.windows import BitWindow, ClosedWindows, SlidingWindow, TumblingWindow
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.series import Series


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """What an evaluator reads from the last ``length`` buckets.

    ``extremes``: it also reads the lowest and highest value of each bucket. A bucket has a value if
    it holds at least the share ``completeness`` of its expected samples. By default the evaluator
    reads the means of all buckets of the window; with ``tumbling`` only the mean of each tumbling
    window; with ``exceeding`` only which buckets have a mean past that threshold. The latter two
    need a fraction of the memory.
    """

    extremes: bool = False
    length: int = 0
    completeness: float = 0.0
    tumbling: bool = False
    exceeding: Threshold | None = None

    @property
    def key(self) -> str:
        """Specifications with the same key share a window; part of the names of a saved state."""
        if self.exceeding is not None:
            t = self.exceeding
            comparison = f"{t.comparison} {t.low} {t.high} {t.circular}"
            return f"{self.completeness} {self.length} {comparison}"
        if self.tumbling:
            return f"{self.completeness} {self.length}"
        return f"{self.completeness}"


class Resampler:
    """Buckets of one length, and windows over them, for all rules that read them.

    With ``energy`` the values are sound levels and are averaged as energies.
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
        self._aggregator = BucketAggregator(bucket_ms, single_precision=True)
        self._sliding: dict[str, SlidingWindow] = {}
        self._bits: dict[str, BitWindow] = {}
        self._tumbling: dict[str, TumblingWindow] = {}
        self._watches: dict[str, Callable[[Series], bool]] = {}
        self._bound: Sequence[Series] | None = None
        # What was computed from the samples given last:
        self._samples: SortedSamples | None = None
        self._buckets: Buckets | None = None
        self._values: dict[str, Float64] = {}
        self._closed: dict[str, ClosedWindows] = {}

    def add(self, selection_key: str, watches: Callable[[Series], bool], spec: WindowSpec) -> None:
        """Serve one more rule; only before ``bind``."""
        self._watches[selection_key] = watches
        if spec.extremes:
            self._aggregator.keep_extremes()
        if spec.exceeding is not None:
            self._bits.setdefault(spec.key, BitWindow(spec.length, self.bucket_ms))
        elif spec.tumbling:
            self._tumbling.setdefault(spec.key, TumblingWindow(spec.length, self.bucket_ms))
        elif spec.length:
            window = self._sliding.setdefault(spec.key, SlidingWindow(1, self.bucket_ms))
            window.lengthen(spec.length)

    def bind(self, series: Sequence[Series]) -> None:
        """Register series. Each rule that shares the resampler calls it; only the first call counts."""
        if series is self._bound:
            return
        if self._bound is None and self._index_of is not None:
            self.index = self._index_of(" or ".join(sorted(self._watches)))
        self._bound = series
        self.index.bind(series, lambda one: any(w(one) for w in self._watches.values()))
        self._aggregator.grow(len(self.index))
        for _, window in self._windows():
            window.grow(len(self.index))

    def _windows(self) -> list[tuple[str, SlidingWindow | TumblingWindow]]:
        """All windows, each with the suffix of its names in a saved state."""
        return [
            (f" {key}", window)
            for windows in (self._sliding, self._tumbling, self._bits)
            for key, window in windows.items()
        ]

    def advance(self, samples: SortedSamples) -> Buckets | None:
        """The buckets that these samples complete, if any; computed once for all rules."""
        if samples is not self._samples:
            own = self.index.select(samples)
            value = 10.0 ** (own.value / 10.0) if self._energy else own.value
            self._buckets = self._aggregator.advance(own.row, own.time_ms, value)
            self._samples, self._values, self._closed = samples, {}, {}
        return self._buckets

    def clear_cache(self) -> None:
        """Drop what was computed from the samples given last."""
        self._samples, self._buckets, self._values, self._closed = None, None, {}, {}

    def means(self, spec: WindowSpec) -> Float64:
        """For each bucket just completed the means of its window, newest first; NaN: no value."""
        if spec.key not in self._values:
            buckets, mean = self._valid_means(spec)
            window = self._sliding[spec.key]
            self._values[spec.key] = window.advance(buckets.row, buckets.number, mean)
        return self._values[spec.key][:, : spec.length]

    def exceedances(self, spec: WindowSpec) -> Bool:
        """For each bucket just completed which buckets of its window are past the threshold."""
        assert spec.exceeding is not None
        if spec.key not in self._values:
            buckets, mean = self._valid_means(spec)
            past = (spec.exceeding.breached(mean) & ~np.isnan(mean)).astype(np.float64)
            window = self._bits[spec.key]
            self._values[spec.key] = window.advance(buckets.row, buckets.number, past)
        past_of_window: Bool = self._values[spec.key] == 1.0
        return past_of_window

    def closed_windows(self, spec: WindowSpec) -> ClosedWindows:
        """The tumbling windows that ended with the buckets just completed."""
        if spec.key not in self._closed:
            buckets, mean = self._valid_means(spec)
            window = self._tumbling[spec.key]
            closed = window.advance(buckets.row, buckets.number, buckets.following, mean)
            self._closed[spec.key] = closed
        return self._closed[spec.key]

    def _valid_means(self, spec: WindowSpec) -> tuple[Buckets, Float64]:
        """The buckets just completed, and their means; NaN for a bucket with too few samples."""
        buckets = self._buckets
        assert buckets is not None
        interval_ms = self.index.intervals_ms(buckets.row)
        valid = buckets.count >= samples_needed(interval_ms, self.bucket_ms, spec.completeness)
        return buckets, np.where(valid, buckets.mean, np.nan)

    def rows_in(self, index: SeriesIndex, buckets: Buckets) -> tuple[Int32, Bool | None]:
        """The rows that buckets have in another index, and a mask of those it has (None: all)."""
        if index.has_rows_of(self.index):
            return buckets.row, None
        row = index.rows_of(self.index.series_of(buckets.row))
        known = row >= 0
        return (row, None) if known.all() else (row[known], known)

    def end_ms(self, number: Int64) -> Int64:
        """When buckets end, in UTC milliseconds."""
        return self._aggregator.end_ms(number)

    def state(self) -> State:
        """The current buckets and all windows."""
        state = self._aggregator.state()
        for suffix, window in self._windows():
            state |= {f"{name}{suffix}": array for name, array in window.state().items()}
        return state

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        self._aggregator.restore(state)
        for suffix, window in self._windows():
            own = {k.removesuffix(suffix): v for k, v in state.items() if k.endswith(suffix)}
            window.restore(own)


class SharedState:
    """The state that the rules of one engine share."""

    def __init__(self) -> None:
        self.resamplers: dict[str, Resampler] = {}
        self._indexes: dict[str, SeriesIndex] = {}

    def attach(self, evaluator: Evaluator) -> None:
        """Let an evaluator use the shared state; only before series are bound to it."""
        selection_key = evaluator.selection_key()
        if selection_key is not None:
            evaluator.index = self.series_index(selection_key)
        if isinstance(evaluator, BucketEvaluator):
            own = evaluator.resampler
            evaluator.share(self.resampler(own.bucket_ms, energy=evaluator.energy))

    def series_index(self, selection_key: str) -> SeriesIndex:
        """The index of all rules with this selection key."""
        return self._indexes.setdefault(selection_key, SeriesIndex())

    def resampler(self, bucket_ms: int, *, energy: bool = False) -> Resampler:
        """The resampler of all rules with this length of bucket."""
        name = f"{bucket_ms} energy" if energy else str(bucket_ms)
        return self.resamplers.setdefault(
            name, Resampler(bucket_ms, energy=energy, index_of=self.series_index)
        )

    def clear_cache(self) -> None:
        """Drop what was computed from the samples given last."""
        for resampler in self.resamplers.values():
            resampler.clear_cache()


class BucketEvaluator(Evaluator):
    """An evaluator that reads completed buckets, from a resampler of its own or a shared one."""

    def __init__(
        self, select: Selector, bucket_ms: int, spec: WindowSpec, *, energy: bool = False
    ) -> None:
        super().__init__(select)
        self.spec = spec
        self.energy = energy
        self.resampler = Resampler(bucket_ms, energy=energy)
        self._is_shared = False
        self._add_to(self.resampler)

    def _add_to(self, resampler: Resampler) -> None:
        resampler.add(self.selection_key() or "", self.watches, self.spec)

    def share(self, resampler: Resampler) -> None:
        """Use a resampler that other rules use too; its state is saved by its owner."""
        self.resampler = resampler
        self._is_shared = True
        self._add_to(resampler)

    def bind(self, series: Sequence[Series]) -> None:
        """Register series, here and with the resampler."""
        self.resampler.bind(series)
        super().bind(series)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """There is one verdict for each bucket."""
        return self.index.gap_ms(given_ms, self.resampler.bucket_ms)

    def state(self) -> State:
        """The resampler's state, unless it is shared."""
        return {} if self._is_shared else self.resampler.state()

    def restore(self, state: State) -> None:
        """Continue from a saved state."""
        if not self._is_shared:
            self.resampler.restore(state)


def samples_needed(interval_ms: Int64, bucket_ms: int, completeness: float) -> Float64:
    """The number of samples with which a bucket has a value.

    A share of those expected, at least one; one where the interval is not known (0).
    """
    expected = np.where(interval_ms > 0, bucket_ms / np.maximum(interval_ms, 1), 1.0)
    return np.maximum(np.floor(expected * completeness), 1.0)
