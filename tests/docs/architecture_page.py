"""Writes the rooms and floors in docs/architecture.md from the import graph; run by ``make docs``.

A room is a folder directly below one of the packages, or a Python file there. test_architecture.py
fails while the page is old.
"""

import ast
import re
import tomllib
from collections import defaultdict

import grimp

from tests.docs.pages import DOCS, ROOT

PAGE = DOCS / "architecture.md"
PACKAGES = (
    "quantrac", "edge_agent", "cloud_ingest", "simulators", "alert_rules", "device_profiles",
    "telemetry",
)  # fmt: skip
PARTS = ("floors", "rooms")


def room_of(module: str) -> str:
    """The room of a module: its package and the next name, or the package alone for its door."""
    return "/".join(module.split(".")[:2])


def rooms() -> dict[str, set[str]]:
    """Each room with the rooms that it imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        room = room_of(module)
        if room.endswith("/__main__"):
            continue
        found[room] |= {room_of(m) for m in graph.find_modules_directly_imported_by(module)} - {
            room
        }
    return dict(found)


def purpose(room: str) -> str:
    """The first sentence of the room's docstring."""
    folder = ROOT / room / "__init__.py"
    path = folder if folder.exists() else ROOT / f"{room}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=[.!])\s|\n\n", text)[0].replace("\n", " ").replace("``", "`")


def rooms_table() -> str:
    """The table of rooms, package by package from the top."""
    known = rooms()
    lines = ["| room | holds | imports |", "| --- | --- | --- |"]
    for package in PACKAGES:
        for room in sorted(r for r in known if r.split("/")[0] == package and "/" in r):
            path = room if (ROOT / room).is_dir() else f"{room}.py"
            own = {r.split("/")[1] for r in known[room] if r.startswith(f"{package}/")}
            others = {r.split("/")[0] for r in known[room]} - {package}
            named = ", ".join((*sorted(own), *sorted(others)))
            lines.append(f"| `{path}` | {purpose(room)} | {named or '–'} |")
    return "\n".join(lines) + "\n"


def floors() -> list[list[str]]:
    """The floors of the cloud from the top, each with its rooms, as the import contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    contract = next(c for c in contracts if c.get("containers") == ["cloud_ingest"])
    return [re.split(r"\s*[:|]\s*", line) for line in contract["layers"]]


def floors_picture() -> str:
    """The floors of the cloud as a block of text."""
    lines = [" · ".join(rooms) for rooms in floors()]
    return "\n".join(["```", *lines, "```"]) + "\n"


def current(text: str) -> str:
    """The page with its written parts brought up to date."""
    for part, made in zip(PARTS, (floors_picture(), rooms_table()), strict=True):
        begin, end = f"<!-- {part}: written by make docs -->\n", f"<!-- end of {part} -->\n"
        before, rest = text.split(begin)
        text = before + begin + made + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
