"""Quality, all detectors and twenty rules over 10,000 series; and a rule over stored history.

Rates are of one core: what counts is the processor time of the thread that does the work. The
detector is the one of the service, all layers; what it does once a minute or once in five is
shared out over all samples.
"""

import statistics
import time

import numpy as np

from alert_rules.rule_kinds import rule_kinds
from benchmarks.detection.river_scorers import river_rates
from benchmarks.result import Result
from benchmarks.rules.alert_rules_field import (
    EVERY_MS,
    T0,
    PlainLoop,
    batches,
    make_series,
    twenty_rules,
)
from cloud_ingest.alerts.backtest.replay import Replay
from cloud_ingest.alerts.evaluation.engine import RuleEngine
from cloud_ingest.alerts.evaluation.no_data_watch import NoDataWatch
from cloud_ingest.detection import LayeredDetector
from cloud_ingest.quality import QualityControl
from telemetry.batches import SampleBatch

SERIES = 10_000
ROUNDS = 60
"""Ten minutes, one sample every ten seconds."""
WARM_UP = 30
ASKED = 1_000_000
ASKED_BACKTEST = 5_000_000
HISTORY = 1_000_000
"""Samples of each of four series in the backtest: 116 days of one every ten seconds."""


def run() -> list[Result]:
    """The rates, each beside what is asked and beside what others do."""
    rate = batch_rate()
    loop = plain_loop_rate()
    what = "quality + detectors + 20 rules over 10,000 series"
    back, back_loop = backtest_rate(), plain_loop_rate(series=1_000)
    return [
        Result("rules", what, rate, "samples/s", "asked for", ASKED, 1.0),
        Result("rules", what, rate, "samples/s", "plain Python loop (20 thresholds alone)", loop, 2.0),
        *(Result("rules", what, rate, "samples/s", f"{name} alone, no rule", other, 1.0)
          for name, other in river_rates(SERIES, 100_000).items()),
        Result("backtest", "a threshold over stored history", back, "samples/s", "asked for",
               ASKED_BACKTEST, 1.0),
        Result("backtest", "a threshold over stored history", back, "samples/s",
               "plain Python loop", back_loop, 10.0),
    ]  # fmt: skip


def batch_rate() -> float:
    """Samples a second through everything that judges them, one batch after the other."""
    series, rules = make_series(SERIES), twenty_rules()
    quality = QualityControl()
    engine = RuleEngine(rules, LayeredDetector())
    watch = NoDataWatch(rules)
    for part in (quality, engine, watch):
        part.register(series)
    took = []
    for k, batch in enumerate(batches(SERIES, WARM_UP + ROUNDS)):
        now_ms = T0 + k * EVERY_MS + 1000
        begun = time.thread_time()
        flagged = quality.flag(batch, now_ms)
        engine.advance(flagged, now_ms)
        watch.note(flagged, now_ms)
        took.append(time.thread_time() - begun)
    return SERIES / statistics.mean(took[WARM_UP:])


def plain_loop_rate(series: int = SERIES) -> float:
    """The same kind of work, one sample after the other."""
    loop, took = PlainLoop(), []
    for batch in batches(series, 6):
        begun = time.thread_time()
        loop.take(batch)
        took.append(time.thread_time() - begun)
    return series / statistics.median(took)


def backtest_rate() -> float:
    """Samples a second of history, four series, a threshold with hysteresis and hold time."""
    rule = rule_kinds()["threshold"].rule.model_validate(
        {"id": "r", "kind": "threshold", "name": {"vi": "a", "en": "b"}, "above": 80, "clear": 70,
         "hold": "5m"}
    )  # fmt: skip
    rng = np.random.default_rng(6)
    time_ms = T0 - HISTORY * EVERY_MS + np.arange(HISTORY) * EVERY_MS
    day = 50 + 32 * np.sin(np.arange(HISTORY) / 8640 * 2 * np.pi)
    parts = [
        SampleBatch.of(np.full(HISTORY, i), time_ms, day + rng.normal(0, 2, HISTORY), np.ones(HISTORY))
        for i in range(4)
    ]  # fmt: skip
    took = []
    for _ in range(3):
        replay = Replay([rule], make_series(4))
        begun = time.thread_time()
        for part in parts:
            replay.feed(part)
        took.append(time.thread_time() - begun)
    return 4 * HISTORY / statistics.median(took)


if __name__ == "__main__":
    for result in run():
        print(result.as_json())
