"""The documentation as data: its pages, tables, code blocks and links."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def pages() -> list[Path]:
    """Every Markdown page of the project that is for readers."""
    folders = ("docs", "alert_rules", "cloud_ingest", "device_profiles", "simulators")
    found = [p for f in folders for p in sorted((ROOT / f).rglob("*.md"))]
    return [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(p for p in found if "node_modules" not in p.parts),
    ]


def tables(page: Path, head: str) -> Iterator[list[str]]:
    """The rows of each table of the page whose first column is called ``head``."""
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[0] == head:
            inside = True
        elif inside and set(cells[0]) - set("-: "):
            yield cells


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The fenced code blocks of a language: the line of the first fence, and the text."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if match.group(1) == language:
            yield text.count("\n", 0, match.start()) + 1, match.group(2)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the page's headings."""
    found: set[str] = set()
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found
