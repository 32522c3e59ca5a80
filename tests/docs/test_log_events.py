"""Every event that the code logs stands in docs/log_events.md with its level and fields, and no other."""

import ast
import re
from collections.abc import Iterator

from tests.docs.pages import DOCS, ROOT, tables

PACKAGES = (
    "telemetry", "device_profiles", "alert_rules", "edge_agent", "cloud_ingest", "simulators",
    "quantrac",
)  # fmt: skip
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def logged() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call of a logger: where it is, its level, and the call."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LEVELS
                    and _is_logger(node.func.value)
                ):
                    where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
                    yield where, node.func.attr, node


def _is_logger(value: ast.expr) -> bool:
    name = getattr(value, "attr", None) or getattr(value, "id", "")
    return name.lower().strip("_") in {"log", "logger"}


def names_of(argument: ast.expr) -> list[str] | None:
    """The event names that the first argument may be; None where the code does not say."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.IfExp):
        both = [names_of(argument.body), names_of(argument.orelse)]
        return None if None in both else [n for names in both if names for n in names]
    return None


def test_each_event_has_a_short_fixed_name() -> None:
    wrong = []
    for where, _, call in logged():
        names = names_of(call.args[0]) if len(call.args) == 1 else None
        if names is None or not all(NAME.fullmatch(n) for n in names):
            wrong.append(f"{where}: {ast.unparse(call)[:90]}")
    assert not wrong, "\n".join(wrong)


def test_each_event_is_documented_and_each_documented_one_is_logged() -> None:
    rows = {row[0].strip("`"): row for row in tables(DOCS / "log_events.md", "event")}
    events: dict[str, tuple[set[str], set[str]]] = {}
    for _, level, call in logged():
        for name in names_of(call.args[0]) or ():
            levels, fields = events.setdefault(name, (set(), set()))
            levels.add("error" if level == "exception" else level)
            fields |= {k.arg for k in call.keywords if k.arg and k.arg != "exc_info"}
    assert sorted(rows) == sorted(events)
    wrong = {}
    for name, (levels, fields) in events.items():
        said_levels = set(re.findall(r"\w+", rows[name][1]))
        said_fields = set(re.findall(r"\w+", rows[name][2]))  # those that a logger is bound to, too
        if said_levels != levels or not said_fields >= fields:
            wrong[name] = (rows[name][1:3], sorted(levels), sorted(fields))
    assert wrong == {}
