"""docs/architecture.md says what is true of the code."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.architecture_page import PACKAGES, PAGE, current, floors, rooms
from tests.docs.pages import ROOT, tables

TEXT = PAGE.read_text(encoding="utf-8")
REFERENCES = sorted(set(re.findall(r"`([\w/]+\.py)::([\w.]+)`", TEXT)))
HANDED_OVER = {"queue", "disk", "wire"}


def definition(path: str, name: str) -> ast.AST | None:
    """A class, function or method of a file; None where there is none of this name."""
    found: ast.AST | None = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for part in name.split("."):
        inside = getattr(found, "body", [])
        found = next((n for n in inside if getattr(n, "name", None) == part), None)
    return found


def names_in(path: str, name: str) -> set[str]:
    """The names and attributes that the body of a function mentions."""
    node = definition(path, name)
    assert node is not None
    return {
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute | ast.Name)
    }


def walks() -> list[list[tuple[str, str, str]]]:
    """Each part of the walk: file, name, and how it goes on."""
    section = TEXT.split("\n## The way of one sample\n")[1].split("\n## ")[0]
    found = []
    for part in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\| `([\w/]+\.py)::([\w.]+)` \|.*\| (\w[\w ]*) \|$", part, re.MULTILINE)
        assert len(rows) == len(re.findall(r"^\| `", part, re.MULTILINE)), part[:60]
        found.append(rows)
    return found


@pytest.mark.parametrize(("path", "name"), REFERENCES, ids=[f"{p}::{n}" for p, n in REFERENCES])
def test_each_name_of_the_page_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), path
    assert definition(path, name) is not None, f"{path} has no {name}"


def test_each_step_of_the_walk_leads_to_the_next() -> None:
    assert [len(w) > 10 for w in walks()] == [True] * 4
    wrong = []
    for walk in walks():
        for (path, name, then), (next_path, next_name, _) in pairwise(walk):
            if then == "calls" and next_name.split(".")[-1] not in names_in(path, name):
                wrong.append(f"{name} does not call {next_name}")
            elif then == "called by" and name.split(".")[-1] not in names_in(next_path, next_name):
                wrong.append(f"{name} is not called by {next_name}")
            elif then not in HANDED_OVER | {"calls", "called by"}:
                wrong.append(f"{name}: {then}?")
    assert wrong == []


def test_the_paths_of_the_page_exist() -> None:
    coming = {row[1] for row in tables(PAGE, "capability")}
    made_later = set(
        re.findall(r"`(cloud_ingest/(?:reviews|incidents|access|plants|bridge))`", TEXT)
    )
    paths = set(re.findall(r"`([\w.-]+/[\w./-]*)`", TEXT)) - made_later
    assert coming
    assert [p for p in sorted(paths) if not (ROOT / p).exists()] == []
    assert [p for p in made_later if Path(ROOT / p).exists()] == [], "it is there: say so"


def test_the_written_parts_are_current() -> None:
    assert current(TEXT) == TEXT, "run: make docs"


def test_the_drawn_floors_are_those_of_the_imports() -> None:
    drawing = TEXT.split("```")[1]
    lines = [[p for p in PACKAGES if re.search(rf"\b{p}\b", line)] for line in drawing.splitlines()]
    drawn = [line for line in lines if line]
    assert sorted(p for line in drawn for p in line) == sorted(PACKAGES)
    floor = {package: n for n, line in enumerate(drawn) for package in line}
    for room, imported in rooms().items():
        own = room.split("/")[0]
        for other in {r.split("/")[0] for r in imported if r != "quantrac/console"} - {own}:
            allowed = floor[other] > floor[own] or (other == "quantrac" and "/" not in room)
            assert allowed or other == "quantrac", f"{room} imports {other}"
    assert len(floors()) > 8
