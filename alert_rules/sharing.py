"""What rules over the same series need not each keep for themselves: members and steps of time."""

from collections.abc import Callable, Sequence

import numpy as np

from alert_rules.evaluation import Evaluator, Members, Runs, State
from alert_rules.schema import Selector
from alert_rules.steps import Stepper, Steps, Windows
from telemetry.batches import Bool, Float64, Int32, Int64
from telemetry.series import Series

Wanted = Callable[[Series], bool]


class Gathering:
    """The steps of one length of all series that some rule asks about, and the means of the last.

    Where levels are averaged as energies, ``energy`` gathers energies.
    """

    def __init__(self, step_ms: int, *, energy: bool = False) -> None:
        self.members = Members()
        self.step_ms = step_ms
        self._energy = energy
        self._stepper = Stepper(step_ms)
        self._windows: dict[float, Windows] = {}
        self._wanted: list[Wanted] = []
        self._bound: Sequence[Series] | None = None
        self._runs: Runs | None = None
        self._steps: Steps | None = None
        self._looked: dict[float, Float64] = {}

    def ask(
        self,
        wanted: Wanted,
        *,
        extremes: bool = False,
        length: int = 0,
        completeness: float = 0.0,
    ) -> None:
        """Take in a rule's series before any are bound; what it asks for is kept for all of them.

        ``extremes``: also the range of each step; ``length``: means of so many steps, of which
        only those count that hold at least a share ``completeness`` of their samples.
        """
        self._wanted.append(wanted)
        if extremes:
            self._stepper.keep_extremes()
        if length:
            self._windows.setdefault(completeness, Windows(1)).lengthen(length)

    def bind(self, series: Sequence[Series]) -> None:
        """Make series known; the second rule with the same ones finds it done."""
        if series is self._bound:
            return
        self._bound = series
        self.members.bind(series, lambda one: any(wanted(one) for wanted in self._wanted))
        self._stepper.grow(len(self.members))
        for windows in self._windows.values():
            windows.grow(len(self.members))

    def advance(self, runs: Runs) -> Steps | None:
        """The steps that these samples complete, by slot (None: none); worked out once."""
        if runs is not self._runs:
            slot, meant = self.members.pick(runs)
            value = runs.value if meant is None else runs.value[meant]
            time_ms = runs.time_ms if meant is None else runs.time_ms[meant]
            if self._energy:
                value = 10.0 ** (value / 10.0)
            self._steps = self._stepper.advance(slot, time_ms, value)
            self._runs, self._looked = runs, {}
        return self._steps

    def forget(self) -> None:
        """Let go of the samples just judged."""
        self._runs, self._steps, self._looked = None, None, {}

    def look_back(self, completeness: float, length: int) -> Float64:
        """For each step just completed the means of as many steps, newest first; NaN: none."""
        steps = self._steps
        assert steps is not None
        if completeness not in self._looked:
            interval_ms = self.members.intervals_ms(steps.slot)
            counts = steps.count >= samples_needed(interval_ms, self.step_ms, completeness)
            mean = np.where(counts, steps.mean, np.nan)
            window = self._windows[completeness].look_back(steps.slot, steps.number, mean)
            self._looked[completeness] = window
        return self._looked[completeness][:, :length]

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
        for completeness, windows in self._windows.items():
            found |= {f"{k} {completeness}": v for k, v in windows.state().items()}
        return found

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._stepper.restore(state)
        for completeness, windows in self._windows.items():
            end = f" {completeness}"
            windows.restore({k.removesuffix(end): v for k, v in state.items() if k.endswith(end)})


class Shelf:
    """Where the rules of an engine find what others keep already."""

    def __init__(self) -> None:
        self.gatherings: dict[str, Gathering] = {}
        self._members: dict[str, Members] = {}

    def members(self, selection: str) -> Members:
        """The members of all rules that select in the same words."""
        return self._members.setdefault(selection, Members())

    def gathering(self, step_ms: int, *, energy: bool = False) -> Gathering:
        """The steps of a length."""
        name = f"{step_ms} energy" if energy else str(step_ms)
        return self.gatherings.setdefault(name, Gathering(step_ms, energy=energy))

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
        *,
        energy: bool = False,
        extremes: bool = False,
        length: int = 0,
        completeness: float = 0.0,
    ) -> None:
        super().__init__()
        self._select = select
        self._asked = {"extremes": extremes, "length": length, "completeness": completeness}
        self.steps = Gathering(step_ms, energy=energy)
        self._energy = energy
        self._shares = False
        self._ask()

    def _ask(self) -> None:
        self.steps.ask(
            self.wants,
            extremes=bool(self._asked["extremes"]),
            length=int(self._asked["length"]),
            completeness=self._asked["completeness"],
        )

    def share(self, shelf: Shelf) -> None:
        """Take members, steps and their means from where other rules do."""
        super().share(shelf)
        self.steps = shelf.gathering(self.steps.step_ms, energy=self._energy)
        self._shares = True
        self._ask()

    def selection(self) -> str | None:
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
