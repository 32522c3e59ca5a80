"""The page's typed client is generated from the API's schema and up to date."""

import runpy
from pathlib import Path

WEB = Path(__file__).parents[2] / "cloud_ingest/web"


def test_the_types_of_the_page_are_those_of_the_api() -> None:
    tool = runpy.run_path(str(WEB / "tools/make_types.py"))
    made = tool["types_of"](tool["document"]())
    kept = (WEB / "src/api/schema.ts").read_text(encoding="utf-8")
    assert kept == made, "run cloud_ingest/web/tools/make_types.py, then build the page"
