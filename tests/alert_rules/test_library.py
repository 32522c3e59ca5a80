"""The packs of the library: correct, with sources, and documented as they are."""

import csv
from pathlib import Path

import pytest

from alert_rules import load_rules
from alert_rules.loading import library_packs
from alert_rules.loading.limit_table import with_table
from cloud_ingest.detection import budget_for_quantity
from telemetry.quantities import QUANTITIES
from telemetry.time.durations import format_duration
from telemetry.units import convert
from telemetry.yaml_files import YamlFileError

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
ALL = load_rules(library_packs())


def test_the_page_lists_every_limit_as_the_packs_have_it():
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "run: quantrac rules list --write docs/rules.md"


@pytest.mark.parametrize("rule", [r for r in ALL if r.legal], ids=lambda r: r.full_id)
def test_a_legal_limit_has_a_source_and_is_off_until_verified(rule):
    assert rule.legal.source
    assert rule.legal.verified or not rule.is_enabled
    assert "limit" in rule.text.en
    assert "giới hạn" in rule.text.vi


def limit_cells():
    """Every cell of the documents' tables, in the unit in which the quantity is stored."""
    for path in sorted((Path(__file__).parent / "limits").glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                unit = QUANTITIES[row["quantity"]].unit
                text = row["limit"]
                comparison = "outside" if ".." in text else "below" if text[0] == ">" else "above"
                numbers = tuple(
                    round(convert(float(n), row["unit"], unit), 6)
                    for n in text.strip(">=").split("..")
                )
                yield (
                    row["document"], row["area"], row["quantity"], row["averaging"], comparison,
                    numbers, row["from"], row["to"], row["verified"] == "yes",
                )  # fmt: skip


def cell_of(rule):
    legal = rule.legal
    area = legal.area if rule.hours is None else f"{legal.area}, {rule.hours}"
    (quantity,) = rule.select.quantity
    return (
        legal.document, area, quantity, format_duration(rule.averaging_ms),
        rule.threshold_lines[0].comparison, tuple(limit.value for limit in rule.threshold_lines),
        str(legal.effective_from or ""), str(legal.effective_to or ""), legal.verified,
    )  # fmt: skip


def test_the_packs_have_every_limit_of_the_documents_and_no_other():
    packs = sorted(cell_of(r) for r in ALL if r.legal and r.threshold_lines)
    assert packs == sorted(limit_cells())


def test_a_limit_that_was_not_found_has_no_number_and_is_off():
    unknown = [r for r in ALL if r.legal and not r.threshold_lines]
    assert {r.legal.document for r in unknown} == {"QCVN 26:2025/BNNMT", "QCVN 40:2025/BTNMT"}
    assert not any(r.is_enabled or r.legal.verified for r in unknown)


def test_numbers_of_demonstration_are_named_so():
    demo = [r for r in ALL if r.pack == "demo"]
    assert all(r.demonstration and "(demonstration)" in r.name.en for r in demo)
    assert all(r.legal is None for r in demo)


def test_the_limit_of_pm2_5_tightens_in_2026():
    before, after = ALL.find("vn-air/pm2_5-24h-until-2025"), ALL.find("vn-air/pm2_5-24h")
    assert before.legal.effective_to == after.legal.effective_from
    assert (before.threshold_lines[0].value, after.threshold_lines[0].value) == (50, 45)


def test_packs_take_the_budget_of_each_quantity_for_anomalies():
    anomalies = [r for r in ALL if r.kind == "anomaly"]
    assert {r.pack for r in anomalies} == {
        "demo", "device-health", "traffic", "vn-air", "vn-effluent", "vn-noise", "vn-stack", "vn-water",
    }  # fmt: skip
    assert all(r.is_enabled for r in anomalies)
    assert {r.pack for r in anomalies if r.alerts_per_month is not None} == {"demo"}
    # A quantity whose world is not judged at all has no place in a pack that judges it.
    named = {q for r in anomalies if r.about == "value" for q in r.select.quantity}
    assert all(budget_for_quantity(q).statistical > 0 for q in named)


@pytest.mark.parametrize(
    (("text", "message")),
    [
        ("rules:\n  - {id: x, kind: treshold}\n", "p.yaml:4: rules[0].kind: 'treshold' is no kind of rule; did you mean 'threshold'?"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, above: 1, below: 2}\n", "p.yaml:4: rules[0]: give exactly one"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, above: 5, clear: 6}\n", "p.yaml:4: rules[0].clear: must not be above the limit 5"),
        ("rules:\n  - {id: x, kind: mean, name: {vi: a, en: b}, above: 5, window: 1h, step: 7m}\n", "rules[0].step: must divide the window of 1h exactly"),
        ("rules:\n  - {id: x, kind: mean, name: {vi: a, en: b}, select: {quantity: laeq}, above: 5, window: 1h}\n", "rules[0].energy: must be true for laeq"),
        ("rules:\n  - {id: x, kind: mean, name: {vi: a, en: b}, select: {quantity: wind_direction}, above: 5, window: 1h}\n", "wind_direction has no mean"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, text: {vi: '{vlaue}', en: b}, above: 5}\n", "'vlaue' cannot be filled in"),
        ("rules:\n  - {id: x, kind: composite, name: {vi: a, en: b}, when: {all: [p/y]}}\n", "there is no rule 'p/y'"),
        ("rules:\n  - {id: x, kind: index_level, name: {vi: a, en: b}, level: terrible}\n", "'terrible' is no level of vn_aqi"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, above: 5, hold: 10}\n", "a duration needs its unit"),
        ("rules:\n  - {id: x, kind: no_data, name: {vi: a, en: b}}\n  - {id: x, kind: no_data, name: {vi: a, en: b}}\n", "p.yaml:5: rules[1].id: 'p/x' exists already"),
        ("change:\n  vn-air/so2-1h: {above: 1}\n", "p.yaml:4: change.vn-air/so2-1h: there is no such rule"),
        ("rules: [\n", "not valid YAML"),
        ("rules:\n  - {id: x, kind: mean, name: {vi: a, en: b}, above: 5, window: 1m, step: 1h}\n", "rules[0].step: 1h is longer than the window of 1m"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, select: {quantity: pm25}, above: 5}\n", "p.yaml:4: rules[0].select.quantity: 'pm25' is no quantity; did you mean pm2_5"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, select: {quantity: co}, above: 30, unit: mg/m3}\n", "p.yaml:4: rules[0].unit: co is stored in ug/m3, not mg/m3; write the limit in ug/m3: 30 mg/m3 are 30000 ug/m3"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, above: 30, unit: mg/m3}\n", "rules[0].unit: select a quantity"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a}, above: 5}\n", "p.yaml:4: rules[0].name.en: is missing"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, select: {staton: tdm}, above: 5}\n", "p.yaml:4: rules[0].select.staton: unknown field; did you mean 'station'?"),
        ("rules:\n  - {id: X y, kind: threshold, name: {vi: a, en: b}, above: 5}\n", "rules[0].id: write an id with small letters"),
        ("rules:\n  - just text\n", "p.yaml:4: rules[0]: a rule is written as fields"),
        ("rules:\n  - {id: x, kind: threshold, name: {vi: a, en: b}, above: 5, legal: {document: Q, verified: true, source: s, effective_from: 12/09/2023}}\n", "rules[0].legal.effective_from: write a day as 2023-09-12"),
        (("rules:\n  - {id: x, kind: composite, name: {vi: a, en: b}, when: {all: [p/y]}}\n"
         "  - {id: y, kind: composite, name: {vi: a, en: b}, when: {not: p/x}}\n"),
         "p.yaml:4: rules[0].when: the rules name each other in a circle: p/x -> p/y -> p/x"),
        ("rules:\n  - {id: x, kind: composite, name: {vi: a, en: b}, when: p/n}\n  - {id: n, kind: no_data, name: {vi: a, en: b}}\n",
         "p.yaml:4: rules[0].when: p/n is of the kind no_data"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_named_with_line_and_field(tmp_path, text, message):
    path = tmp_path / "p.yaml"
    path.write_text("pack: p\nname: {vi: a, en: b}\n" + text)
    with pytest.raises(YamlFileError) as error:
        load_rules(["p.yaml"], tmp_path)
    assert message in str(error.value)


def test_a_file_may_give_a_rule_of_a_pack_other_numbers(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "pack: p\nname: {vi: a, en: b}\nchange:\n"
        "  vn-effluent/cod-2025: {above: 75, enabled: true, select: {quantity: cod, station: mp}}\n"
    )
    rules = load_rules(["library/vn-effluent", "p.yaml"], tmp_path)
    changed = rules.find("vn-effluent/cod-2025")
    assert changed.is_enabled
    assert changed.threshold_lines[0].value == 75
    assert changed.window == 3_600_000


def test_a_likely_mistake_gives_a_warning_with_its_place(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "pack: p\nname: {vi: a, en: b}\nrules:\n"
        "  - {id: x, kind: threshold, name: {vi: a, en: b}, above: 1, enabled: false}\n"
        "  - {id: z, kind: composite, name: {vi: a, en: b}, when: {all: [p/x]}}\n"
        "change:\n  vn-noise/special-day-2010:\n    enabled: true\n"
    )
    found = load_rules(["library/vn-noise", "p.yaml"], tmp_path).warnings
    assert [(c.line, c.field) for c in found] == [
        (8, "change.vn-noise/special-day-2010.enabled"),
        (5, "rules[1].when"),
    ]
    assert "not verified, but the rule is enabled" in found[0].message
    assert "p/x is not enabled" in found[1].message


def test_a_composite_comes_after_those_it_names(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "pack: p\nname: {vi: a, en: b}\nrules:\n"
        "  - {id: outer, kind: composite, name: {vi: a, en: b}, when: {all: [p/inner, p/x]}}\n"
        "  - {id: inner, kind: composite, name: {vi: a, en: b}, when: {not: p/x}}\n"
        "  - {id: x, kind: threshold, name: {vi: a, en: b}, above: 1}\n"
    )
    assert [r.id for r in load_rules(["p.yaml"], tmp_path)] == ["x", "inner", "outer"]
