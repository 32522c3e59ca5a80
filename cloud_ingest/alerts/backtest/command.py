"""The work of ``quantrac rules backtest``: read samples, run rules, print and plot the result."""

import csv
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alert_rules.loading import RuleSet
from alert_rules.rule import Rule
from cloud_ingest.alerts.backtest.replay import Replay, ReplayResult, history
from cloud_ingest.alerts.texts import shown_length, shown_time
from cloud_ingest.detection import LayeredDetector
from cloud_ingest.inventory.tags import Tags
from cloud_ingest.stores.protocol import SampleColumns, SampleStore
from quantrac.console import counted
from telemetry.quantities import QUANTITIES, UNKNOWN
from telemetry.series import Series, SeriesKey
from telemetry.time.iso_time import parse_iso_ms
from telemetry.time.local_time import LOCAL_ZONE
from telemetry.yaml_files import YamlFileError


class BacktestError(Exception):
    """The backtest cannot run as requested; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one time up to another, which is not included."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Source:
    """The series and the store with their samples."""

    store: SampleStore
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """The rules, their input and the result of the replay."""

    rules: Sequence[Rule]
    source: Source
    span: Span
    replay: ReplayResult
    seconds: float


def moment_ms(text: str) -> int:
    """A day or time as UTC milliseconds; without a time zone it is local. Raises BacktestError."""
    try:
        return parse_iso_ms(text, LOCAL_ZONE)
    except ValueError as error:
        raise BacktestError(
            f"{text!r} is not a time; write 2026-11-23 or 2026-11-23T08:00"
        ) from error


def choose(rules: RuleSet, wanted: Sequence[str]) -> list[Rule]:
    """The rules named by id or full id (all if none is named), enabled or not. Raises BacktestError."""
    chosen = [r for r in rules if not wanted or r.id in wanted or r.full_id in wanted]
    unknown = [w for w in wanted if not any(w in (r.id, r.full_id) for r in rules)]
    if unknown:
        raise BacktestError(f"the file has no rule {unknown[0]!r}")
    return [r for r in chosen if r.is_complete]


@contextmanager
def from_store(config: Path) -> Iterator[Source]:
    """The store and the series of a cloud.yaml; ``quantrac cloud`` may be running meanwhile."""
    from cloud_ingest.configuration import load_cloud  # noqa: PLC0415  # heavy to load
    from cloud_ingest.database import Database  # noqa: PLC0415  # as above
    from cloud_ingest.inventory.inventory import Inventory  # noqa: PLC0415  # as above
    from cloud_ingest.stores import open_store  # noqa: PLC0415  # as above
    from cloud_ingest.stores.protocol import StoreUnavailable  # noqa: PLC0415  # as above

    try:
        configuration = load_cloud(config)
        store = open_store(configuration.store, read_only=True)
    except YamlFileError as error:
        raise BacktestError(str(error)) from error
    except StoreUnavailable as error:
        raise BacktestError(f"the store cannot be opened: {error}") from error
    database = Database(configuration.database)
    try:
        inventory = Inventory(database)
        inventory.load()
        series = Tags(configuration.tags).put_on(inventory.series())
        store.register(series)
        yield Source(store, series)
    finally:
        store.close()
        database.close()


@contextmanager
def from_csv(path: Path) -> Iterator[Source]:
    """Samples of a file with the columns series (gateway/device/metric), time, value.

    A metric with the name of a quantity has that quantity. Raises BacktestError.
    """
    rows: dict[str, list[tuple[int, float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    value = float(row["value"] or "nan")
                    rows.setdefault(row["series"], []).append((_time_of(row["time"]), value))
                except (KeyError, ValueError, TypeError) as error:
                    raise BacktestError(
                        f"{path}:{number}: expected series,time,value ({error})"
                    ) from error
    except OSError as error:
        raise BacktestError(f"{path}: {error.strerror}") from error
    yield _of_rows(rows)


def _time_of(text: str) -> int:
    return int(text) if text.lstrip("-").isdigit() else moment_ms(text)


def _of_rows(rows: dict[str, list[tuple[int, float]]]) -> Source:
    series, held = [], {}
    for index, (name, samples) in enumerate(sorted(rows.items())):
        key = SeriesKey.parse(name)
        quantity = key.metric if key.metric in QUANTITIES else UNKNOWN
        unit = QUANTITIES[quantity].unit if quantity in QUANTITIES else ""
        ordered = sorted(dict(samples).items())
        time_ms = np.array([t for t, _ in ordered], np.int64)
        interval_ms = int(np.median(np.diff(time_ms))) if len(time_ms) > 1 else 0
        series.append(Series(index, key, "", key.gateway, quantity, unit, interval_ms))
        value = np.array([v for _, v in ordered])
        held[index] = SampleColumns(
            time_ms, value, np.where(np.isnan(value), 9, 2).astype(np.uint8)
        )
    return Source(_MemoryStore(held), series)


class _MemoryStore:
    """The reading part of a store, over samples in memory."""

    def __init__(self, readings: dict[int, SampleColumns]) -> None:
        self._readings = readings

    def read(self, series: Series, start_ms: int, end_ms: int, *_: Any, **__: Any) -> SampleColumns:
        """The samples of a span."""
        found = self._readings[series.index]
        a, b = np.searchsorted(found.time_ms, [start_ms, end_ms])
        return SampleColumns(found.time_ms[a:b], found.value[a:b], found.quality[a:b])

    def __getattr__(self, name: str) -> Any:
        raise BacktestError(f"samples from a file cannot {name}")


def run(rules: Sequence[Rule], source: Source, span: Span, only: Sequence[str]) -> BacktestResult:
    """Run the rules over the span."""
    if span.end_ms <= span.start_ms:
        raise BacktestError("--to must be later than --from")
    series = [s for s in source.series if not only or str(s.key) in only]
    detector = LayeredDetector() if any(r.needs_scores for r in rules) else None
    if rules and not any(r.refers_to for r in rules):
        series = [s for s in series if any(r.reads(s) for r in rules)]
    replay = Replay(rules, series, detector)
    begun = time.perf_counter()
    for batch in history(source.store, series, span.start_ms, span.end_ms):
        replay.feed(batch)
    seconds = time.perf_counter() - begun
    return BacktestResult(rules, Source(source.store, series), span, replay.finish(), seconds)


def as_text(backtest: BacktestResult) -> str:
    """The result as text for people."""
    result, span = backtest.replay, backtest.span
    when = f"{shown_time(span.start_ms)} to {shown_time(span.end_ms)}"
    size = f"{result.samples} samples of {len(backtest.source.series)} series"
    lines = [f"{size}, {when}, in {backtest.seconds:.2f} s"]
    for rule in backtest.rules:
        found = result.of_rule(rule.full_id)
        lines.append(
            f"{rule.full_id}: {counted(result.alerts(rule), 'alert')}, {counted(len(found), 'exceedance')}, "
            f"{shown_length(result.on_ms(found), 'en')} in total"
        )
        for e in found:
            over = shown_time(e.end_ms) if e.end_ms is not None else "not ended"
            lines.append(
                f"  {e.series}  {shown_time(e.start_ms)} – {over}  "
                f"fired {shown_time(e.fired_ms)}  worst {e.peak:g}"
            )
    return "\n".join(lines)


def as_json(backtest: BacktestResult) -> str:
    """The result as JSON for programs."""
    result = backtest.replay
    return json.dumps(
        {
            "samples": result.samples,
            "seconds": backtest.seconds,
            "rules": [
                {
                    "rule": rule.full_id,
                    "alerts": result.alerts(rule),
                    "exceedances": [
                        {
                            "series": e.series, "start_ms": e.start_ms, "fired_ms": e.fired_ms,
                            "end_ms": e.end_ms, "peak": e.peak, "level": e.level,
                        }
                        for e in result.of_rule(rule.full_id)
                    ],
                }
                for rule in backtest.rules
            ],
        }
    )  # fmt: skip


def draw(backtest: BacktestResult, path: Path, language: str = "en") -> None:
    """Plot the measured and the judged values, and when rules would have fired."""
    from cloud_ingest.alerts.backtest import plot  # noqa: PLC0415  # heavy to load

    source, span = backtest.source, backtest.span
    plot.draw(
        plot.Subject(
            backtest.rules, source.series, source.store, span.start_ms, span.end_ms, backtest.replay
        ),
        path,
        language,
    )
