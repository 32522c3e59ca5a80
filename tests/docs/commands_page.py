"""Writes docs/commands.md: every command of ``quantrac`` with its arguments and options.

Run by ``make docs``; test_commands.py fails while the page is old.
"""

import importlib
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from cloud_ingest.cli import ELSEWHERE
from quantrac.cli import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
HEAD = """\
# Commands

Written by `make docs` from the help texts of the program; edit those, not this page.

Every command has `--help` with an example, and exits with 0 (done), 1 (the work found a problem) or
2 (bad usage or bad configuration: the message names file, line and field).
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Each command that does something, with its full name, in the order of the help."""
    for part, (module, _) in COMMANDS.items():
        elsewhere = {name: inner for name, inner, _ in ELSEWHERE} if part == "cloud" else {}
        for name, command in _below(f"quantrac {part}", _command(module)):
            key = name.removeprefix("quantrac cloud ")
            if key in elsewhere:
                found = _command(elsewhere[key])
                yield from _below(name, getattr(found, "commands", {}).get(key, found))
            else:
                yield name, command


def _command(module: str) -> Any:
    app: typer.Typer = importlib.import_module(module).app
    return typer.main.get_command(app)


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)  # a group has them, by name
    if inner is None or command.invoke_without_command:
        yield name, command
    for key, below in (inner or {}).items():
        yield from _below(f"{name} {key}", below)


def _rows(command: Any) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield f"`{parameter.metavar or parameter.name.upper()}`", _text(parameter)
        elif not parameter.hidden:
            names = ", ".join(f"`{n}`" for n in (*parameter.opts, *parameter.secondary_opts))
            yield names, _text(parameter)


def _text(parameter: Any) -> str:
    text = " ".join((parameter.help or "").split())
    if isinstance(parameter.default, Enum):
        text = f"{text} One of: {', '.join(str(c.value) for c in type(parameter.default))}."
    return text.strip().replace("|", "\\|")


def _example(epilog: str) -> str:
    before, word, command = epilog.partition("Example: ")
    return f"{before}{word}`{' '.join(command.split())}`" if word else epilog


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, command in commands():
        text = inspect.cleandoc(command.help or "").replace("\b\n", "")
        if command.epilog:
            text += f"\n\n{_example(command.epilog)}"
        parts.append(f"## {name}\n\n{text}\n")
        rows = [f"| {names} | {text} |" for names, text in _rows(command)]
        if rows:
            parts.append("\n".join(["| argument or option | |", "| --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
