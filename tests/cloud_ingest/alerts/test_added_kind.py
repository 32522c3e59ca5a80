"""A kind of rule that is added as one file is evaluated live, in late data and in backtests."""

import importlib
import json
import sys
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from alert_rules import kinds
from alert_rules.rule_kinds import rule_kinds
from cloud_ingest.alerts.cli import app
from cloud_ingest.alerts.operations import AlertFilter
from tests.cloud_ingest.alerts.parts import T0, MemoryStore, batch_of, rule, series, service_of

FIELD = [series(0, "a"), series(1, "b")]

OF_ONE_SERIES = '''
"""The double of each value against thresholds."""

from dataclasses import replace
from typing import Literal

from alert_rules.evaluator import RuleKind, Verdicts
from alert_rules.kinds.threshold import ThresholdEvaluator
from alert_rules.thresholds import RuleWithThresholds


class AddedRule(RuleWithThresholds):
    kind: Literal["added"]


class AddedEvaluator(ThresholdEvaluator):
    def evaluate(self, samples):
        return super().evaluate(replace(samples, value=samples.value * 2, selections={}))


KIND = RuleKind(AddedRule, AddedEvaluator)
'''

OF_ALL_SERIES = '''
"""The sum of the newest values of all selected series against the first threshold."""

from typing import ClassVar, Literal

import numpy as np

from alert_rules.evaluator import Evaluator, RuleKind, Verdicts
from alert_rules.rule import LocalText
from alert_rules.thresholds import RuleWithThresholds


class AddedRule(RuleWithThresholds):
    reads_several_series: ClassVar[bool] = True
    value_name: ClassVar[LocalText | None] = LocalText(vi="tổng", en="sum of")

    kind: Literal["added"]


class AddedEvaluator(Evaluator):
    def __init__(self, rule):
        super().__init__(rule.select)
        self.rule, self.newest = rule, {}

    def inputs(self):
        return [(self.index.series[0], tuple(self.index.series))] if len(self.index) > 1 else []

    def grow(self, size):
        pass

    def state(self):
        return {}

    def restore(self, state):
        pass

    def evaluate(self, samples):
        own, found = self.index.select(samples), []
        for at in np.argsort(own.time_ms, kind="stable"):
            self.newest[int(own.row[at])] = (int(own.time_ms[at]), float(own.value[at]))
            times = {time_ms for time_ms, _ in self.newest.values()}
            if len(self.newest) == len(self.index) > 1 and len(times) == 1:
                found.append((times.pop(), sum(value for _, value in self.newest.values())))
        time_ms, value = np.array([t for t, _ in found], np.int64), np.array([v for _, v in found])
        level = self.rule.thresholds[0].breached(value).astype(np.int8)
        return Verdicts(np.zeros(len(found), np.int32), time_ms, level, value)


KIND = RuleKind(AddedRule, AddedEvaluator)
'''


@pytest.fixture(params=[OF_ONE_SERIES, OF_ALL_SERIES], ids=["one series", "all series"])
def added(request, tmp_path, monkeypatch):
    """A kind in one new file of the folder of kinds."""
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "added.py").write_text(request.param, encoding="utf-8")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])
    importlib.invalidate_caches()
    rule_kinds.cache_clear()
    yield
    rule_kinds.cache_clear()
    sys.modules.pop("alert_rules.kinds.added", None)
    vars(kinds).pop("added", None)


def rows_of(begin, end, which=(0, 1)):
    """Two series, a value a second; from 300 to 400 only their sum and the first's double exceed 100."""
    return [
        (i, T0 + s * 1000, (70.0, 45.0)[i] if 300 <= s < 400 else 20.0)
        for s in range(begin, end)
        for i in which
    ]


def alerts_of(service):
    found = service.queries.find(AlertFilter(), 100)[0]
    return [(a["rule"], a["series"], a["start_ms"] - T0, a["end_ms"] - T0) for a in found]


EXPECTED = [("test/r", "g/a/pm2_5", 300_000, 400_000)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("added")
def test_it_is_evaluated_live(database):
    service = service_of(database, [rule("added", above=100)], MemoryStore(), known=FIELD)
    for begin in range(0, 600, 20):
        service.process(batch_of(rows_of(begin, begin + 20)), T0 + (begin + 20) * 1000)
    assert alerts_of(service) == EXPECTED


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("late", [(0, 1), (0,)], ids=["both", "the first"])
@pytest.mark.usefixtures("added")
def test_it_is_evaluated_in_late_data(database, late):
    store = MemoryStore()
    service = service_of(database, [rule("added", above=100)], store, known=FIELD)
    now_ms = T0 + 600_000
    punctual = tuple(i for i in (0, 1) if i not in late)
    for rows in (rows_of(0, 200) + rows_of(200, 500, punctual) + rows_of(500, 600), rows_of(200, 500, late)):  # fmt: skip
        batch = batch_of(sorted(rows, key=lambda r: r[1]))
        store.write(batch)
        assert service.process(batch, now_ms) == []
    told = [e for n in range(20) for e in service.tick(now_ms + 20_000 + n * 1100)]
    assert [e.kind for e in told] == ["retrospective"]
    assert alerts_of(service) == EXPECTED


def shown(time_ms):
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


@pytest.mark.usefixtures("added")
def test_it_is_evaluated_and_drawn_in_a_backtest(tmp_path):
    (tmp_path / "r.yaml").write_text(
        "pack: test\nname: {vi: a, en: b}\nrules: [{id: r, kind: added, name: {vi: a, en: b}, above: 100}]"
    )
    lines = [f"{FIELD[i].key},{time_ms},{value}" for i, time_ms, value in rows_of(0, 600)]
    (tmp_path / "s.csv").write_text("\n".join(["series,time,value", *lines]))
    arguments = ["backtest", str(tmp_path / "r.yaml"), "--from", shown(T0), "--to", shown(T0 + 600_000),
                 "--csv", str(tmp_path / "s.csv"), "--json", "--plot", str(tmp_path / "p.png")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    [told] = json.loads(result.output.splitlines()[0])["rules"]
    [found] = told["exceedances"]
    assert (
        told["rule"],
        found["series"],
        found["start_ms"] - T0,
        found["end_ms"] - T0,
    ) == EXPECTED[0]
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
