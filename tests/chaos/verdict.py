"""Compares what the simulator served with what the store has."""

import bisect
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloud_ingest.indices.derived import DEVICE as WORKED_OUT
from cloud_ingest.stores import StoreConfiguration, open_store
from simulators.truth import read_truth

TOLERANCE_MS = 700
"""A sample's time is the middle of its bus transaction, the simulator's the moment of its answer."""
LOSS_MS = 3_000
"""How long before a kill -9 an answer may have come that was not committed yet."""
END_OF_TIME_MS = 4_000_000_000_000

Rows = list[tuple[int, float]]


@dataclass(slots=True)
class Verdict:
    """``measured`` by the outboxes' own count; ``lost`` and ``duplicated`` must be 0."""

    served: int = 0
    measured: int = 0
    given_up: int = 0
    stored: int = 0
    lost: int = 0
    duplicated: int = 0
    invented: int = 0
    uncommitted: int = 0
    longest_gap_s: float = 0.0
    drained: bool = True
    faults: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)
    """Samples that were stored but never served: series, time, value."""

    @property
    def ok(self) -> bool:
        """Whether the promise held."""
        return (
            self.drained
            and not (self.lost or self.duplicated or self.invented or self.given_up)
            and self.measured == self.stored > 0
        )

    def __str__(self) -> str:
        kinds = "\n".join(f"  {kind:<34}{n:>5}" for kind, n in sorted(self.faults.items()))
        return (
            f"faults injected                     {sum(self.faults.values()):>5}\n{kinds}\n"
            f"answers served by the simulator     {self.served}\n"
            f"not committed when a process died   {self.uncommitted}\n"
            f"measured (committed by an outbox)   {self.measured}\n"
            f"stored                              {self.stored}\n"
            f"lost                                {self.lost}\n"
            f"duplicated                          {self.duplicated}\n"
            f"stored but never served             {self.invented}\n"
            f"given up                            {self.given_up}\n"
            f"longest gap to live                 {self.longest_gap_s:.1f} s\n"
            + "".join(f"  {what}\n" for what in self.strange[:20])
            + f"{'the promise held' if self.ok else 'THE PROMISE WAS BROKEN'}"
        )


def read_store(configuration: Mapping[str, str]) -> dict[str, Rows]:
    """Every measured sample in the store by series; not those that the cloud worked out itself."""
    store = open_store(StoreConfiguration.model_validate(dict(configuration)))
    try:
        found: dict[str, Rows] = {}
        for series in store.series():
            if series.key.device == WORKED_OUT:
                continue
            readings = store.read(series, 0, END_OF_TIME_MS)
            found[str(series.key)] = list(
                zip(readings.time_ms.tolist(), readings.value.tolist(), strict=True)
            )
        return found
    finally:
        store.close()


def read_served(path: Path) -> dict[str, Rows]:
    """Every value that the simulator served, by series."""
    served: dict[str, Rows] = defaultdict(list)
    for row in read_truth(path):
        served[row.series].append((row.time_ms, math.nan if row.value is None else row.value))
    return dict(served)


def compare(
    served: Mapping[str, Rows],
    stored: Mapping[str, Rows],
    kills: Mapping[str, Sequence[int]],
    shifts_ms: Sequence[int],
    verdict: Verdict,
) -> None:
    """Pair every stored sample with the answer that it came from, by value and time.

    ``kills``: when each gateway's agent, or the simulator, was stopped; ``shifts_ms``: by how much
    its clock may have been wrong. An answer without a sample is lost, unless one of them died right
    then: a transaction that was not finished, or not committed.
    """
    for series in sorted(set(served) | set(stored)):
        rows = stored.get(series, [])
        verdict.served += len(served.get(series, []))
        verdict.stored += len(rows)
        verdict.duplicated += len(rows) - len({t for t, _ in rows})
        by_value: dict[float, list[int]] = defaultdict(list)
        for time_ms, value in sorted(served.get(series, [])):
            by_value[_key(value)].append(time_ms)
        for time_ms, value in sorted(rows):
            if not _take(by_value[_key(value)], time_ms, shifts_ms):
                verdict.invented += 1
                verdict.strange.append(f"{series} {time_ms} {value}")
        deaths = kills.get(series.split("/")[0], ())
        for times in by_value.values():
            for time_ms in times:
                if any(-500 <= death - time_ms <= LOSS_MS for death in deaths):
                    verdict.uncommitted += 1
                else:
                    verdict.lost += 1


def _take(times: list[int], time_ms: int, shifts_ms: Sequence[int]) -> bool:
    """Use up the answer nearest in time, of those with the same value."""
    for shift in shifts_ms:
        at = bisect.bisect_left(times, time_ms - shift)
        near = [i for i in (at - 1, at) if 0 <= i < len(times)]
        best = min(near, key=lambda i: abs(times[i] - time_ms + shift), default=None)
        if best is not None and abs(times[best] - time_ms + shift) <= TOLERANCE_MS:
            del times[best]
            return True
    return False


def _key(value: float) -> float:
    return float(f"{value:.9g}")
