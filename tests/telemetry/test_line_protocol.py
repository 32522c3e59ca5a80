"""Reading line protocol, as InfluxDB describes it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.line_protocol import Line, parse_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("m f=1", Line("m", {}, {"f": 1.0}, None)),
        ("m  f=1i,g=2u  -5 ", Line("m", {}, {"f": 1, "g": 2}, -5)),
        (r"a\ b,x\,y=1\=2 v\ w=t 7", Line("a b", {"x,y": "1=2"}, {"v w": True}, 7)),
        (r'm s="a b,c=1 \" \\",f=F 7', Line("m", {}, {"s": 'a b,c=1 " \\', "f": False}, 7)),
        ('m,tag=a"b f=1 7', Line("m", {"tag": 'a"b'}, {"f": 1.0}, 7)),
    ],
)
def test_a_line_is_read(text: str, line: Line) -> None:
    assert parse_line(text) == line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("m", "a line is"),
        (" f=1", "a line is"),
        ("m,tag f=1", "name=value"),
        ("m f=1,g", "name=value"),
        ("m f=1 soon", "no integer"),
        ('m f="x 5', "does not end"),
        ("m f=x", "no value"),
        ("m f=36893488147419103232u", "64 bits"),
    ],
)
def test_a_bad_line_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_line(text)


@given(st.text())
def test_no_text_fails_in_another_way(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_line(text)
