"""The examples of the documentation: commands that exist and run, files that the program reads."""

import json
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from alert_rules import load_rules
from cloud_ingest.configuration import load_cloud
from cloud_ingest.intake.mappings.configuration import load_mappings
from edge_agent.configuration import load_gateway
from simulators.scenarios.model import load_scenario
from tests.docs.commands_page import commands
from tests.docs.pages import DOCS, ROOT, blocks, pages

GATEWAY = """\
gateway: gw-1
group: g
station: {id: s, name: S, latitude: 10.9, longitude: 106.6}
broker: {url: mqtt://127.0.0.1:1883}
buses:
  - name: line
    serial: {port: /dev/ttyUSB0}
    devices:
"""
CLOUD = "broker: {url: mqtt://127.0.0.1:1883}\nstore: {kind: embedded, path: ./data}\n"
SCENARIO = """\
scenario: example
title: Example
stations:
  - id: s
    name: S
    latitude: 10.9
    longitude: 106.6
    gateway: gw-1
    buses:
      - name: line
        serial: {}
"""


def told() -> list[tuple[str, str]]:
    """Each command line of ``quantrac`` in a code block of a page, with its page."""
    found = []
    for page in pages():
        for language in ("", "sh", "console"):
            for _, text in blocks(page, language):
                for line in text.splitlines():
                    plain = line.removeprefix("$ ").removeprefix(".venv/bin/")
                    if plain.startswith("quantrac ") and ":" not in plain.split()[0]:
                        found.append((page.relative_to(ROOT).as_posix(), plain.split("  #")[0]))
    return found


def words(line: str) -> list[str]:
    return shlex.split(line.split(" > ", maxsplit=1)[0], comments=True)


@pytest.mark.parametrize(("page", "line"), told())
def test_each_command_in_the_pages_exists_with_its_options(page: str, line: str) -> None:
    given = words(line)
    known = {tuple(name.split()): command for name, command in commands()}
    found = [name for name in known if tuple(given[: len(name)]) == name]
    assert found, f"{page}: no command {line!r}"
    options = {o for p in known[max(found, key=len)].params for o in (*p.opts, *p.secondary_opts)}
    assert [w for w in given if w.startswith("--") and w.split("=")[0] not in options] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name, made from the pages' own examples."""
    made = tmp_path_factory.mktemp("examples")
    rule = next(text for _, text in blocks(DOCS / "rules.md", "yaml"))
    mapping = next(t for _, t in blocks(DOCS / "cloud.md", "yaml") if t.startswith("mappings"))
    reading = {"Time": "2026-11-23T08:00:00", "AM2301": {"Temperature": 31.5}}
    (made / "my-rules.yaml").write_text(rule, encoding="utf-8")
    (made / "tasmota.yaml").write_text(mapping, encoding="utf-8")
    (made / "payload.json").write_text(json.dumps(reading), encoding="utf-8")
    (made / "cloud.yaml").write_text(CLOUD + "rules: [./my-rules.yaml]\n", encoding="utf-8")
    (made / "gateway.yaml").write_text(
        GATEWAY + "      - {name: pm, profile: plantower-pms5003}\n", encoding="utf-8"
    )
    return made


NEED_MORE = (
    "cloud run", "cloud notify-test", "cloud restore", "cloud import", "cloud backup", "cloud export",
    "edge run", "edge check", "edge status", "sim run", "rules backtest",
)  # fmt: skip
"""Commands that need a network, a device, data or a service; tests of their own run them."""
RUNNABLE = sorted(
    {line for _, line in told() if not any(f"quantrac {more}" in line for more in NEED_MORE)}
)


@pytest.mark.parametrize("line", RUNNABLE)
def test_each_example_that_needs_nothing_else_runs(line: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words(line)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=200,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_what_runs_is_not_nothing() -> None:
    assert len(RUNNABLE) >= 6


def as_gateway(path: Path, text: str) -> object:
    for name in ("mqtt-password", "ca.pem"):
        (path.parent / name).write_text("x")
    path.write_text(text if text.startswith("gateway") else GATEWAY + text, encoding="utf-8")
    return load_gateway(path)


def as_cloud(path: Path, text: str) -> object:
    needed = "" if text.startswith("broker") else CLOUD
    if text.startswith("store"):
        needed = CLOUD.splitlines()[0] + "\n"
    path.write_text(needed + text, encoding="utf-8")
    return load_cloud(path)


def as_mappings(path: Path, text: str) -> object:
    path.write_text(text, encoding="utf-8")
    return load_mappings([path])


def as_rules(path: Path, text: str) -> object:
    path.write_text(text, encoding="utf-8")
    changed = {name.split("/")[0] for name in (yaml.safe_load(text).get("change") or {})}
    return load_rules([*(f"library/{pack}" for pack in sorted(changed)), str(path)])


def as_scenario(path: Path, text: str) -> object:
    if not text.startswith("scenario"):
        text = SCENARIO + textwrap.indent(text, "        ")
        (path.parent / "recording.csv").write_text("timestamp,PM2.5\n2026-11-01T00:00:00,12\n")
    path.write_text(text, encoding="utf-8")
    return load_scenario(path)


READERS: dict[str, Callable[[Path, str], object]] = {
    "gateway": as_gateway, "- name": as_gateway, "broker": as_cloud, "store": as_cloud,
    "notify": as_cloud, "mappings": as_mappings, "pack": as_rules, "scenario": as_scenario,
    "devices": as_scenario,
}  # fmt: skip
EXAMPLES = [
    pytest.param(text, id=f"{page.relative_to(ROOT).as_posix()}:{line}")
    for page in pages()
    for line, text in blocks(page, "yaml")
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_yaml_example_is_read_by_the_program(text: str, tmp_path: Path) -> None:
    first = re.match(r"\s*(- name|\w+):", text)
    assert first, text
    assert READERS[first.group(1)](tmp_path / "example.yaml", text)
