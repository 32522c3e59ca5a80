"""What rules over the same series need not each keep for themselves: members and steps of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alert_rules.evaluator import Evaluator, Members, Runs, State
from alert_rules.rule import Selector
from alert_rules.thresholds import Bound
from alert_rules.windows import ClockWindows, Ended, Marks, Stepper, Steps, Windows
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.series import Series

Wanted = Callable[[Series], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule wants to know of the last steps.

    ``extremes``: also the range of each step; ``length``: windows of so many steps, of which only
    those count that hold at least a share ``completeness`` of their samples. Of such windows it
    wants the steps' means, or only the mean of those ``by_the_clock``, or only which steps were
    ``past`` a bound: either takes a fraction of the room.
    """

    extremes: bool = False
    length: int = 0
    completeness: float = 0.0
    by_the_clock: bool = False
    past: Bound | None = None

    @property
    def name(self) -> str:
        """Names windows that others can share."""
        if self.past is not None:
            bound = self.past
            limits = f"{bound.comparison} {bound.low} {bound.high} {bound.circular}"
            return f"{self.completeness} {self.length} {limits}"
        if self.by_the_clock:
            return f"{self.completeness} {self.length}"
        return f"{self.completeness}"


class Gathering:
    """The steps of one length of all series that some rule asks about, and the means of the last.

    Where levels are averaged as energies, ``energy`` gathers energies.
    """

    def __init__(
        self,
        step_ms: int,
        *,
        energy: bool = False,
        members_of: Callable[[str], Members] | None = None,
    ) -> None:
        self.members = Members()
        self.step_ms = step_ms
        self._energy = energy
        self._members_of = members_of
        self._stepper = Stepper(step_ms, coarse=True)
        self._windows: dict[str, Windows] = {}
        self._marks: dict[str, tuple[Asked, Marks]] = {}
        self._by_the_clock: dict[str, tuple[Asked, ClockWindows]] = {}
        self._wanted: dict[str, Wanted] = {}
        self._bound: Sequence[Series] | None = None
        self._runs: Runs | None = None
        self._steps: Steps | None = None
        self._looked: dict[str, Float64] = {}
        self._ended: dict[str, Ended] = {}

    def ask(self, selection: str, wanted: Wanted, asked: Asked) -> None:
        """Take in a rule's series before any are bound; what it asks for is kept for all of them."""
        self._wanted[selection] = wanted
        if asked.extremes:
            self._stepper.keep_extremes()
        if asked.past is not None:
            self._marks.setdefault(asked.name, (asked, Marks(asked.length, self.step_ms)))
        elif asked.by_the_clock:
            clock = ClockWindows(asked.length, self.step_ms)
            self._by_the_clock.setdefault(asked.name, (asked, clock))
        elif asked.length:
            windows = self._windows.setdefault(asked.name, Windows(1, self.step_ms))
            windows.lengthen(asked.length)

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known; the second rule with the same ones finds it done."""
        if series is self._bound:
            return
        if self._bound is None and self._members_of is not None:
            self.members = self._members_of(" or ".join(sorted(self._wanted)))
        self._bound = series
        self.members.bind(series, lambda one: any(w(one) for w in self._wanted.values()))
        self._stepper.grow(len(self.members))
        for kept in self._kept().values():
            kept.grow(len(self.members))

    def _kept(self) -> dict[str, Windows | ClockWindows]:
        """All windows, by what their names in a state end with."""
        found: dict[str, Windows | ClockWindows] = {f" {n}": w for n, w in self._windows.items()}
        found |= {f" {n}": w for n, (_, w) in self._by_the_clock.items()}
        return found | {f" {n}": w for n, (_, w) in self._marks.items()}

    def advance(self, runs: Runs) -> Steps | None:
        """The steps that these samples complete, by slot (None: none); worked out once."""
        if runs is not self._runs:
            slot, meant = self.members.pick(runs)
            value = runs.value if meant is None else runs.value[meant]
            time_ms = runs.time_ms if meant is None else runs.time_ms[meant]
            if self._energy:
                value = 10.0 ** (value / 10.0)
            self._steps = self._stepper.advance(slot, time_ms, value)
            self._runs, self._looked, self._ended = runs, {}, {}
        return self._steps

    def forget(self) -> None:
        """Let go of the samples just judged."""
        self._runs, self._steps, self._looked, self._ended = None, None, {}, {}

    def look_back(self, asked: Asked) -> Float64:
        """For each step just completed the means of as many steps, newest first; NaN: none."""
        if asked.name not in self._looked:
            steps, mean = self._counting(asked)
            window = self._windows[asked.name].look_back(steps.slot, steps.number, mean)
            self._looked[asked.name] = window
        return self._looked[asked.name][:, : asked.length]

    def marks(self, asked: Asked) -> Bool:
        """For each step just completed whether it and those before it are past, newest first."""
        assert asked.past is not None
        if asked.name not in self._looked:
            steps, mean = self._counting(asked)
            past = asked.past.breached(mean) & ~np.isnan(mean)
            _, marks = self._marks[asked.name]
            one_or_zero = past.astype(np.float64)
            self._looked[asked.name] = marks.look_back(steps.slot, steps.number, one_or_zero)
        found: Bool = self._looked[asked.name] == 1.0
        return found

    def ended(self, asked: Asked) -> Ended:
        """The windows by the clock that the steps just completed have ended."""
        if asked.name not in self._ended:
            steps, mean = self._counting(asked)
            _, clock = self._by_the_clock[asked.name]
            ended = clock.advance(steps.slot, steps.number, steps.following, mean)
            self._ended[asked.name] = ended
        return self._ended[asked.name]

    def _counting(self, asked: Asked) -> tuple[Steps, Float64]:
        """The steps just completed, and their means, NaN where there were too few samples."""
        steps = self._steps
        assert steps is not None
        interval_ms = self.members.intervals_ms(steps.slot)
        counts = steps.count >= samples_needed(interval_ms, self.step_ms, asked.completeness)
        return steps, np.where(counts, steps.mean, np.nan)

    def slots_in(self, members: Members, steps: Steps) -> tuple[Int32, Bool | None]:
        """The slots of steps among other members, and which steps are theirs (None: all)."""
        if members.alike(self.members):
            return steps.slot, None
        slot = members.slots(self.members.indices(steps.slot))
        mine = slot >= 0
        return (slot, None) if mine.all() else (slot[mine], mine)

    def end_ms(self, number: Int64) -> Int64:
        """When steps end, in UTC milliseconds."""
        return self._stepper.end_ms(number)

    def state(self) -> State:
        """The steps under way and the means of the last ones."""
        found = self._stepper.state()
        for end, kept in self._kept().items():
            found |= {f"{k}{end}": v for k, v in kept.state().items()}
        return found

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._stepper.restore(state)
        for end, kept in self._kept().items():
            kept.restore({k.removesuffix(end): v for k, v in state.items() if k.endswith(end)})

    def from_older(self, state: State) -> State:
        """What a state lacks that kept the means of all steps, for windows by the clock and marks.

        Before 2026-11-29 these were worked out of such means each time.
        """
        found: State = {}
        smaller: list[tuple[Asked, ClockWindows | Marks]] = [
            *self._by_the_clock.values(),
            *self._marks.values(),
        ]
        for asked, kept in smaller:
            value = state.get(f"window_value {asked.completeness}")
            last = state.get(f"window_last {asked.completeness}")
            if value is None or last is None:
                continue
            means = value.astype(np.float64)
            if asked.past is not None:
                means = (asked.past.breached(means) & ~np.isnan(means)).astype(np.float64)
            own = kept.from_windows(means, last.astype(np.int64))
            named = {f"{k} {asked.name}": v for k, v in own.items()}
            found |= {k: v for k, v in named.items() if k not in state}
        return found


class Shelf:
    """Where the rules of an engine find what others keep already."""

    def __init__(self) -> None:
        self.gatherings: dict[str, Gathering] = {}
        self._members: dict[str, Members] = {}

    def attach(self, evaluator: Evaluator) -> None:
        """Give an evaluator the state that it can share; before any series is bound to it."""
        selection = evaluator.selection()
        if selection is not None:
            evaluator.members = self.members(selection)
        if isinstance(evaluator, StepEvaluator):
            evaluator.use(self.gathering(evaluator.steps.step_ms, energy=evaluator.energy))

    def members(self, selection: str) -> Members:
        """The members of all rules that select in the same words."""
        return self._members.setdefault(selection, Members())

    def gathering(self, step_ms: int, *, energy: bool = False) -> Gathering:
        """The steps of a length."""
        name = f"{step_ms} energy" if energy else str(step_ms)
        return self.gatherings.setdefault(
            name, Gathering(step_ms, energy=energy, members_of=self.members)
        )

    def forget(self) -> None:
        """Let go of the samples just judged."""
        for gathering in self.gatherings.values():
            gathering.forget()


class StepEvaluator(Evaluator):
    """Judges completed steps of time of the selected series, gathered by itself or for many."""

    def __init__(
        self,
        select: Selector,
        step_ms: int,
        asked: Asked,
        *,
        energy: bool = False,
    ) -> None:
        super().__init__()
        self._select = select
        self.asked = asked
        self.steps = Gathering(step_ms, energy=energy)
        self.energy = energy
        self._shares = False
        self._ask()

    def _ask(self) -> None:
        self.steps.ask(self.selection(), self.wants, self.asked)

    def use(self, steps: Gathering) -> None:
        """Read ``steps``, which other rules read too and somebody else keeps."""
        self.steps = steps
        self._shares = True
        self._ask()

    def selection(self) -> str:
        """The selector."""
        return self._select.model_dump_json()

    def wants(self, series: Series) -> bool:
        """Every selected series."""
        return self._select.matches(series)

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known, here and where steps are gathered."""
        self.steps.bind(series)
        super().bind(series)

    def gap_ms(self, given_ms: int | None) -> Int64:
        """Verdicts come once a step."""
        return self.members.gap_ms(given_ms, self.steps.step_ms)

    def state(self) -> State:
        """The steps, unless somebody else keeps them."""
        return {} if self._shares else self.steps.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        if not self._shares:
            self.steps.restore(state)


def samples_needed(interval_ms: Int64, step_ms: int, completeness: float) -> Float64:
    """How many samples make a step count: a share of those expected, one where that is unknown."""
    expected = np.where(interval_ms > 0, step_ms / np.maximum(interval_ms, 1), 1.0)
    return np.maximum(np.floor(expected * completeness), 1.0)
