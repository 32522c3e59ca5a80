"""Errors in YAML files say in plain words where they are and what would be correct."""

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from telemetry.yaml_files import YamlFileError, parse_yaml


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dead_band: float = 0.0


class Device(BaseModel):
    model_config = ConfigDict(extra="forbid")

    names: tuple[str, ...] = ()
    report: dict[str, Filter] = {}
    kind: str = "a"

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind != "a":
            raise ValueError(f"{kind!r} is no kind; there is a")
        return kind


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("kind: a\nnames: x", "f.yaml:2: names: write a list, such as [a, b], found 'x'"),
        ("report: x", "f.yaml:1: report: write fields (name: value), found 'x'"),
        ("report: {pm: 5}", "f.yaml:1: report.pm: write fields (name: value), found 5"),
        (
            "report:\n  pm: {dead_bandd: 5}",
            "f.yaml:2: report.pm.dead_bandd: unknown field; did you mean 'dead_band'?",
        ),
        ("kind: b", "f.yaml:1: kind: 'b' is no kind; there is a"),
    ],
)
def test_an_error_names_the_line_the_field_and_what_would_be_correct(text, error) -> None:
    with pytest.raises(YamlFileError) as caught:
        parse_yaml(text, "f.yaml", Device)
    assert str(caught.value) == error
