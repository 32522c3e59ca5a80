"""The layout holds: who imports whom, no circle of files, no crowded folder, no long file.

The order of the packages and the floors of the cloud are contracts of import-linter in
pyproject.toml; docs/architecture.md draws them.
"""

import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "quantrac", "telemetry", "device_profiles", "alert_rules", "edge_agent", "cloud_ingest",
    "simulators", "benchmarks", "tests",
)  # fmt: skip
MOST_FILES = 12
MOST_LINES = 420
CATALOGUES = (
    "alert_rules/kinds", "device_profiles/streams/wires", "cloud_ingest/database/migrations/versions",
)  # fmt: skip
"""Folders whose files are entries of one list: a kind of rule, a wire protocol, a migration."""


def python_files() -> list[Path]:
    """Every Python file of the project, relative to its root, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    files = [Path(name) for name in listed if (ROOT / name).exists()]
    if not files:  # a copy without git
        files = [f.relative_to(ROOT) for p in PACKAGES for f in (ROOT / p).rglob("*.py")]
    return [f for f in files if "node_modules" not in f.parts]


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """For each module of ours the modules of ours that it imports, those for types included."""
    graph = grimp.build_graph(*PACKAGES[:-2], cache_dir=None)
    return {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}


def circles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        waiting.append(module)
        for other in edges.get(module, ()):
            if other not in order:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in waiting:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            at = waiting.index(module)
            if len(waiting) - at > 1:
                found.append(sorted(waiting[at:]))
            del waiting[at:]

    for module in edges:
        if module not in order:
            visit(module)
    return found


def test_circles_are_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}) == [["b", "c"]]


def test_no_files_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    assert circles(imports) == []


def test_imports_follow_the_contracts() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-logo"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_of_the_cloud_has_a_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    floors = next(c for c in contracts["contracts"] if c.get("containers") == ["cloud_ingest"])
    named = {
        room.strip() for line in floors["layers"] for room in line.replace("|", ":").split(":")
    }

    def rooms(folder: Path) -> set[str]:
        return {
            p.stem
            for p in folder.iterdir()
            if (p.suffix == ".py" and p.stem != "__init__") or (p / "__init__.py").exists()
        }

    cloud = ROOT / "cloud_ingest"
    divided = {name.split(".")[0] for name in named if "." in name}
    wanted = rooms(cloud) - divided - {"web"}
    wanted |= {f"{room}.{inner}" for room in divided for inner in rooms(cloud / room)}
    assert named == wanted


def test_the_benchmarks_and_tests_are_imported_by_nobody(imports: dict[str, set[str]]) -> None:
    external = grimp.build_graph(*PACKAGES[:-2], include_external_packages=True, cache_dir=None)
    above = {"benchmarks", "tests"} & external.modules
    assert {m: external.find_modules_that_directly_import(m) for m in above} == {}
    assert imports


def test_no_folder_is_crowded() -> None:
    files = Counter(f.parent.as_posix() for f in python_files() if f.name != "__init__.py")
    for folder in CATALOGUES:
        files.pop(folder, None)
    assert {folder: n for folder, n in files.items() if n > MOST_FILES} == {}


def test_no_file_is_long() -> None:
    lines = {f.as_posix(): (ROOT / f).read_bytes().count(b"\n") for f in python_files()}
    assert {f: n for f, n in lines.items() if n > MOST_LINES and "_pb2" not in f} == {}
