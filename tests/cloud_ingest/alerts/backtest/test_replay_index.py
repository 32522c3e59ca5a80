"""A real week of haze: from hourly readings by way of VN_AQI to the alerts of the shipped pack."""

import csv
import itertools
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest

from alert_rules import load_rules
from cloud_ingest.alerts.backtest import command
from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.indices.derived import GRACE_MS, DerivedIndices
from telemetry.batches import SampleBatch
from telemetry.series import Series
from tests.cloud_ingest.alerts.backtest.test_replay import DAYS
from tests.cloud_ingest.alerts.parts import MemoryStore, service_of

HOUR_MS = 3_600_000
DAY = DAYS / "beijing-january-2014"
# Decision 1459/QĐ-TCMT, table 2, PM2.5
POINTS = [(0, 0), (25, 50), (50, 100), (80, 150), (150, 200), (250, 300), (350, 400), (500, 500)]


def index_of(concentration):
    """VN_AQI of a PM2.5 concentration, with fractions."""
    if concentration >= POINTS[-1][0]:
        return 500
    (c0, i0), (c1, i1) = next(
        (a, b) for a, b in itertools.pairwise(POINTS) if a[0] <= concentration <= b[0]
    )
    exact = Fraction(i1 - i0, c1 - c0) * (concentration - c0) + i0
    shown = Decimal(exact.numerator) / Decimal(exact.denominator)
    return int(shown.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def now_cast(newest_first):
    """The Decision's NowCast, divided by its weights."""
    if sum(c is not None for c in newest_first[:3]) < 2:
        return None
    there = [c for c in newest_first if c is not None]
    weight = max(Fraction(min(there), max(there)), Fraction(1, 2))
    parts = [(weight**i, c) for i, c in enumerate(newest_first) if c is not None]
    return sum(w * c for w, c in parts) / sum(w for w, _ in parts)


def readings():
    """PM2.5 of one station: the end of each hour, and its mean."""
    with (DAY / "samples.csv").open() as file:
        return {
            command.moment_ms(row["time"]): Fraction(row["value"])
            for row in csv.DictReader(file)
            if row["series"] == "dongsi/air/pm2_5" and row["value"]
        }


@pytest.fixture(scope="module")
def hours():
    """The index of each hour by the plain formula: its end, its value (None: not enough data)."""
    found = readings()
    first, last = min(found), max(found)
    return [
        (end, None if cast is None else index_of(cast))
        for end in range(first + 12 * HOUR_MS, last + HOUR_MS + 1, HOUR_MS)
        for cast in [now_cast([found.get(end - (i + 1) * HOUR_MS) for i in range(12)])]
    ]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_week_of_haze_gives_the_index_and_the_alerts_written_down(database, hours):
    station = Series(
        0, command.SeriesKey.parse("dongsi/air/pm2_5"), "bj", "dongsi", "pm2_5", "ug/m3", HOUR_MS
    )
    store = MemoryStore()
    found = readings()
    store.write(
        SampleBatch.of(
            [0] * len(found), list(found), [float(v) for v in found.values()], [1] * len(found)
        )
    )
    rules = [r for r in load_rules(["library/vn-index"]) if r.id.startswith("hour")]
    service = service_of(database, rules, store, known=[station], now_ms=min(found))
    indices, known, derived = DerivedIndices(store, lambda: [station]), {}, {}
    for end, _ in hours:
        for d in indices.tick(end + GRACE_MS):
            if d.quantity == "vn_aqi_hour":
                if not known:
                    known[d.quantity] = Series(
                        1, d.key, d.group, d.station, d.quantity, d.unit, d.interval_ms
                    )
                    service.register(list(known.values()))
                derived[d.time_ms] = d.value
                service.process(
                    SampleBatch.of([1], [d.time_ms], [d.value], [2]), d.time_ms + GRACE_MS
                )
    assert derived == {end: float(value) for end, value in hours if value is not None}
    alerts = service.queries.find(AlertFilter(), 100)[0]
    told = sorted((a["rule"], a["start_ms"], a["end_ms"] or 0) for a in alerts)
    assert told == sorted(expected())


def expected():
    with (DAY / "expected-index.csv").open() as file:
        return [
            (row["rule"], command.moment_ms(row["start"]),
             command.moment_ms(row["end"]) if row["end"] else 0)
            for row in csv.DictReader(file)
        ]  # fmt: skip


def test_what_was_written_down_is_what_the_levels_say(hours):
    """151 and more is Bad, 201 and more Very bad; an end and a beginning within ten minutes are one."""
    for rule, low in (("vn-index/hour-bad", 151), ("vn-index/hour-very-bad", 201)):
        runs, start = [], None
        for end, value in hours:
            if value is not None and value >= low and start is None:
                start = end
            elif value is not None and value < low and start is not None:
                runs.append((rule, start, end))
                start = None
        if start is not None:
            runs.append((rule, start, 0))
        assert runs == [e for e in expected() if e[0] == rule]
