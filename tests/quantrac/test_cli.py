"""The program itself: its parts, its help, its exit codes."""

import subprocess
import sys

import pytest

from quantrac import cli


def quantrac(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quantrac", *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_every_part_and_an_example() -> None:
    answer = quantrac("--help")
    assert answer.returncode == 0
    assert all(part in answer.stdout for part in cli.COMMANDS)
    assert "Example: quantrac demo" in answer.stdout


def test_an_unknown_part_is_refused_with_those_that_exist() -> None:
    answer = quantrac("egde")
    assert answer.returncode == 2
    assert "edge" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("part", [p for p in cli.COMMANDS if p != "demo"])
def test_every_part_has_help(part: str) -> None:
    answer = quantrac(part, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "Usage" in answer.stdout


def test_the_edge_loads_nothing_of_the_cloud() -> None:
    program = (
        "import sys, edge_agent.cli, edge_agent.agent; "
        "heavy = {'numpy', 'scipy', 'fastapi', 'duckdb', 'sqlalchemy', 'pandas'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_a_missing_library_is_said_with_the_way_to_get_it(monkeypatch, capsys) -> None:
    monkeypatch.setitem(cli.COMMANDS, "cloud", ("no_such_part_of_quantrac", ""))
    with pytest.raises(SystemExit) as end:
        cli.main(["cloud", "run"])
    assert end.value.code == 2
    assert "make setup" in capsys.readouterr().err
