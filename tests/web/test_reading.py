"""The page in both languages, on a phone, in the dark theme, with axe, and with hostile names."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.servers import wait_until
from tests.web.conftest import BUSY_STATION, CALM_STATION, HOSTILE_METRICS, HOSTILE_NAME, OFFICER
from tests.web.feed import Feed
from tests.web.system import System

pytestmark = pytest.mark.chromium

Open = Callable[..., Page]
TEXTS = Path(__file__).parents[2] / "cloud_ingest/web/src/texts"

# Everything that is said to somebody who sees or hears the page, piece by piece.
SAID = """() => {
  const said = [document.title];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const of = walk.currentNode.parentElement;
    if (!["SCRIPT", "STYLE"].includes(of.tagName) && !of.closest("[translate=no]")) said.push(walk.currentNode.data);
  }
  for (const e of document.body.querySelectorAll("*"))
    for (const a of ["aria-label", "title", "placeholder", "alt"])
      if (e.hasAttribute(a)) said.push(e.getAttribute(a));
  return said.map((s) => s.trim()).filter(Boolean);
}"""


def settled(page: Page, address: str) -> None:
    """Go to a page of the same document and wait until it has loaded."""
    page.goto(f"/{address}")
    expect(page.locator(".live.live")).to_be_visible()
    expect(page.locator("main .loading")).to_have_count(0)
    if "chart" in address or "compare" in address:
        expect(page.locator(".plot canvas")).to_be_visible()


def leftovers(said: list[str], language: str) -> list[str]:
    """Texts in the other language, and bare keys of texts."""
    mine, other = (
        json.loads((TEXTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in (language, {"vi": "en", "en": "vi"}[language])
    )
    own = {s.casefold() for s in mine.values()}
    foreign = {s.casefold() for s in other.values()} - own
    patterns = [
        re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(s)))
        for s in foreign
        if "{" in s and re.search(r"\w{2}", re.sub(r"\{\w+\}", "", s))
    ]
    return [
        s
        for s in said
        if s in mine or s.casefold() in foreign or any(p.fullmatch(s.casefold()) for p in patterns)
    ]


def still_vietnamese(said: list[str], names: tuple[str, ...]) -> list[str]:
    """Texts with letters that only Vietnamese has, except names."""
    letters = re.compile("[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)
    for name in names:
        said = [s.replace(name, "") for s in said]
    return [s for s in said if letters.search(s) and "Trạm " not in s]


def soon(page: Page, wrong: Callable[[list[str]], list[str]]) -> list[str]:
    """The wrong texts on the page, once they are gone or after 3 s: the page may be redrawing."""
    end = time.monotonic() + 60
    while (found := wrong(page.evaluate(SAID))) and time.monotonic() < end:
        page.wait_for_timeout(50)
    return found


def test_switching_the_language_changes_every_text(
    open_page: Open, every_page: dict[str, str]
) -> None:
    page = open_page()
    names = (CALM_STATION, BUSY_STATION, OFFICER, "Nguyễn Văn An", "Tiếng Việt")
    for address in every_page.values():
        settled(page, address)
        page.get_by_role("button", name="Tiếng Việt").click()
        expect(page.locator("html")).to_have_attribute("lang", "vi")
        assert soon(page, lambda said: leftovers(said, "vi")) == [], address
        page.get_by_role("button", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        assert soon(page, lambda said: leftovers(said, "en")) == [], address
        unknown = soon(page, lambda said: still_vietnamese(said, names))
        assert unknown == [], address


def test_the_language_is_remembered_and_english_browsers_get_english(
    open_page: Open, calm: Feed
) -> None:
    page = open_page("#/", locale="en-GB")
    expect(page.get_by_role("heading", level=1)).to_have_text("Monitoring stations")
    page.get_by_role("button", name="Tiếng Việt").click()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Trạm quan trắc")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(
    open_page: Open, every_page: dict[str, str], scheme: str
) -> None:
    page = open_page("#/", color_scheme=scheme)
    for name, address in every_page.items():
        settled(page, address)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"


def test_a_telephone_needs_no_sideways_scrolling(
    open_page: Open, every_page: dict[str, str], hostile: Feed
) -> None:
    page = open_page("#/", viewport={"width": 360, "height": 740})
    hostile_pages = {"hostile station": "#/station/%3Cu%3Est"}
    for name, address in (every_page | hostile_pages).items():
        settled(page, address)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, f"{name} is {width} px wide"


def test_nothing_is_fetched_from_anywhere_else(
    open_page: Open, every_page: dict[str, str], system: System
) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for address in every_page.values():
        settled(page, address)
    page.reload()
    expect(page.locator(".live.live")).to_be_visible()
    assert len(asked) > 10
    foreign = [u for u in asked if urlsplit(u).netloc != urlsplit(system.url).netloc]
    assert [u for u in foreign if not u.startswith("data:")] == []


def test_names_that_look_like_markup_are_shown_as_they_are(
    open_page: Open, hostile: Feed, system: System
) -> None:
    hostile.publish('spBv1.0/<script>window.hostile=1</script>x"', b"\xff\xff<b>")
    wait_until(lambda: system.get("/quarantine")["items"], "the message in quarantine")
    page = open_page()
    expect(page.locator(".card strong", has_text=HOSTILE_NAME)).to_be_visible()
    page.locator(".card", has_text=HOSTILE_NAME).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE_NAME)
    for metric in HOSTILE_METRICS:
        expect(page.get_by_role("row").filter(has_text=metric)).to_be_visible()
    page.get_by_role("row").filter(has_text=HOSTILE_METRICS[0]).get_by_role("link").click()
    expect(page.get_by_role("figure")).to_contain_text(HOSTILE_NAME)
    settled(page, "#/system")
    expect(page.get_by_role("cell", name="<i>gw 🐉", exact=True).first).to_be_visible()
    expect(page.get_by_text("<script>window.hostile=1</script>")).to_be_visible()
    assert page.evaluate("window.hostile") is None
    assert page.locator("img[src=x], main u, main script").count() == 0
