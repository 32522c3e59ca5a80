"""The schema for editors takes every pack that is shipped and underlines what is wrong."""

import json

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from alert_rules.loading import LIBRARY
from cloud_ingest.alerts.cli import app
from telemetry.yaml_files import parse_yaml_tree


@pytest.fixture(scope="module")
def validator():
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    schema = json.loads(result.output)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def plain(path):
    tree = parse_yaml_tree(path.read_text(encoding="utf-8"), str(path))
    return json.loads(json.dumps(tree, default=str))


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_pack_fits(validator, path):
    assert [e.message for e in validator.iter_errors(plain(path))] == []


def test_names_of_rules_fit_wherever_an_expression_may_stand(validator):
    rule = {"id": "x", "kind": "composite", "name": {"vi": "a", "en": "b"},
            "when": {"all": ["p/y", {"not": "p/z"}]}}  # fmt: skip
    pack = {"pack": "p", "name": {"vi": "a", "en": "b"}, "rules": [rule]}
    assert validator.is_valid(pack)
    assert validator.is_valid(pack | {"rules": [rule | {"when": "p/y"}]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "treshold"}, {"select": {"quantity": "pm25"}}, {"select": {"staton": "tdm"}},
        {"name": {"vi": "a"}}, {"hold": "10"}, {"hold": 10}, {"severity": "urgent"},
        {"abovee": 3}, {"above": "lots"}, {"window": "1h"}, {"pack": "p"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_does_not_fit(validator, wrong):
    rule = {"id": "x", "kind": "threshold", "name": {"vi": "a", "en": "b"}, "above": 1,
            "select": {"quantity": ["pm2_5", "pm*"]}, "hold": "10m"}  # fmt: skip
    pack = {"pack": "p", "name": {"vi": "a", "en": "b"}, "rules": [rule]}
    assert validator.is_valid(pack)
    assert not validator.is_valid(pack | {"rules": [rule | wrong]})
