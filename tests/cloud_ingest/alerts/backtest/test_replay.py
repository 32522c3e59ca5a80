"""Real recorded days give the alerts that were written down for them."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alert_rules import load_rules
from cloud_ingest.alerts.backtest import command
from cloud_ingest.alerts.cli import app

DAYS = Path(__file__).parent / "days"
CASES = sorted(p.name for p in DAYS.iterdir() if p.is_dir())


def expected_of(case):
    with (DAYS / case / "expected.csv").open() as file:
        return [
            (r["rule"], r["series"], *(command.moment_ms(r[n]) if r[n] else None
                                      for n in ("start", "fired", "end")))
            for r in csv.DictReader(file)
        ]  # fmt: skip


def run_backtest(case):
    rules = load_rules([str(DAYS / case / "rules.yaml")])
    span = command.Span(command.moment_ms("2010-01-01"), command.moment_ms("2030-01-01"))
    with command.from_csv(DAYS / case / "samples.csv") as source:
        first = min(int(source.store.read(s, 0, span.end_ms).time_ms[0]) for s in source.series)
        last = max(int(source.store.read(s, 0, span.end_ms).time_ms[-1]) for s in source.series)
        return command.run(command.choose(rules, ()), source, command.Span(first, last + 1), ())


@pytest.mark.parametrize("case", CASES)
def test_real_days_give_the_alerts_written_down(case):
    outcome = run_backtest(case)
    found = sorted(
        (e.rule, e.series, e.start_ms, e.fired_ms, e.end_ms) for e in outcome.replay.exceedances
    )
    assert found == sorted(expected_of(case))
    assert found


def test_the_worst_value_told_is_the_worst_that_was_measured():
    outcome = run_backtest("beijing-january-2014")
    by_key = {str(s.key): s for s in outcome.source.series}
    told = outcome.replay.of_rule("days/pm2_5-high")
    assert len(told) > 5
    for e in told:
        end_ms = e.end_ms or outcome.span.end_ms
        assert e.peak == max(outcome.source.store.read(by_key[e.series], e.start_ms, end_ms).value)


def test_backtest_tells_and_draws(tmp_path):
    case = DAYS / "beijing-january-2014"
    arguments = ["backtest", str(case / "rules.yaml"), "--from", "2014-01-10", "--to", "2014-01-25",
                 "--csv", str(case / "samples.csv")]  # fmt: skip
    picture = tmp_path / "out.png"
    result = CliRunner().invoke(app, [*arguments, "--plot", str(picture)])
    assert result.exit_code == 0, result.output
    assert "days/pm2_5-day: " in result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    as_json = CliRunner().invoke(app, [*arguments, "--json", "--rule", "pm2_5-day"])
    (rule,) = json.loads(as_json.output)["rules"]
    assert rule["rule"] == "days/pm2_5-day"
    assert rule["alerts"] >= 1


def test_the_picture_says_in_both_languages_what_an_officer_asks(tmp_path):
    case = DAYS / "beijing-january-2014"
    given = ["backtest", str(case / "rules.yaml"), "--from", "2014-01-10", "--to", "2014-01-25",
             "--csv", str(case / "samples.csv"), "--rule", "pm2_5-day"]  # fmt: skip
    for language, said in (
        ("en", ["PM2.5 mean of the day – dongsi, air: 2 alerts, on for 3 d 23 h", "limit 150 µg/m³",
                "alert goes out", "alert is on", "measured", "local time (UTC+7)"]),
        ("vi", ["PM2.5 trung bình ngày – dongsi, air: 2 cảnh báo", "giới hạn 150 µg/m³",
                "gửi cảnh báo", "giờ địa phương"]),
    ):  # fmt: skip
        picture = tmp_path / f"{language}.svg"
        result = CliRunner().invoke(app, [*given, "--plot", str(picture), "--language", language])
        assert result.exit_code == 0, result.output
        drawn = picture.read_text(encoding="utf-8")
        assert [w for w in said if f"<!-- {w}" not in drawn] == []
    assert CliRunner().invoke(app, [*given, "--language", "fr"]).exit_code == 2


def test_a_rule_that_would_not_have_fired_is_drawn_as_well(tmp_path):
    (tmp_path / "r.yaml").write_text(
        "pack: p\nname: {vi: a, en: b}\nrules:\n"
        "  - {id: x, kind: threshold, name: {vi: Cao, en: High}, select: {quantity: pm2_5}, above: 5000}\n"
        "  - {id: y, kind: anomaly, name: {vi: Lạ, en: Odd}, select: {quantity: pm2_5}, alerts_per_month: 5}\n"
    )
    case = DAYS / "beijing-january-2014"
    given = ["backtest", str(tmp_path / "r.yaml"), "--from", "2014-01-10", "--to", "2014-01-25",
             "--csv", str(case / "samples.csv")]  # fmt: skip
    for rule, said in (("x", "High – aotizhongxin, air: no alert"), ("y", "expected range")):
        picture = tmp_path / f"{rule}.svg"
        result = CliRunner().invoke(app, [*given, "--rule", rule, "--plot", str(picture)])
        assert result.exit_code == 0, result.output
        assert f"<!-- {said}" in picture.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "tomorrow", "--to", "2014-01-02"], "is not a time"),
        (["--from", "2014-01-02", "--to", "2014-01-01"], "--to must be later"),
        (["--from", "2014-01-01", "--to", "2014-01-02", "--rule", "nothing"], "has no rule"),
        (["--from", "2014-01-01", "--to", "2014-01-02", "--csv", "missing.csv"], "No such file"),
    ],
)
def test_backtest_says_what_is_wrong(arguments, message):
    case = DAYS / "interstate-94"
    given = ["backtest", str(case / "rules.yaml"), *arguments]
    if "--csv" not in given:
        given += ["--csv", str(case / "samples.csv")]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2
    assert message in result.output


def test_a_backtest_over_nothing_exits_with_1():
    case = DAYS / "interstate-94"
    given = ["backtest", str(case / "rules.yaml"), "--from", "1999-01-01", "--to", "1999-01-02",
             "--csv", str(case / "samples.csv")]  # fmt: skip
    assert CliRunner().invoke(app, given).exit_code == 1
