"""The table in docs/sparkplug.md and the checkers name the same rules, and the tests that it names exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs/sparkplug.md").read_text(encoding="utf-8")
ROWS = {
    m[1]: m[2] for m in re.finditer(r"^\| ([EPH]\d+) \| [^|]+ \| ([^|]+) \|", TABLE, re.MULTILINE)
}
CHECKED = set(
    re.findall(
        r'"([EPH]\d+)"',
        "".join(
            (ROOT / f"tests/conformance/{name}_rules.py").read_text() for name in ("edge", "host")
        ),
    )
) - {"P0"}


def test_every_checked_rule_is_in_the_table_and_every_row_is_shown_by_something() -> None:
    assert set(ROWS) >= CHECKED
    assert {rule for rule, shown in ROWS.items() if shown.startswith("W")} <= CHECKED
    assert all(shown.strip() for shown in ROWS.values())
    assert len(ROWS) == 68


def test_the_tests_that_the_table_names_exist() -> None:
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)…?`", TABLE):
        found = [p for p in (ROOT / "tests").rglob(Path(file).name) if str(p).endswith(file)]
        assert found, file
        assert f"def {name}" in found[0].read_text(encoding="utf-8"), name
