"""One running system and one browser for all tests of the page; a fresh page for each test."""

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.servers import wait_until
from tests.web.feed import Feed
from tests.web.system import System

ROOT = Path(__file__).parents[2]
CALM_STATION, BUSY_STATION = "Thủ Dầu Một", "Mỹ Phước"
HOSTILE_NAME = '<img src=x onerror="window.hostile=1">'
HOSTILE_METRICS = ("<b>bold</b>", "🌫️ mist", "مستوى \u202edne eht", "a" * 120)
OFFICER = "Trần Thị Bình"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def built_page() -> None:
    """The built page; if it is missing, one worker builds it while the others wait."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/page.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (ROOT / "cloud_ingest/web/static/index.html").exists():
            subprocess.run(["sh", str(ROOT / "scripts/build-page.sh"), sys.prefix], check=True)


@pytest.fixture(scope="session")
def system(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("cloud"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def calm(system: System) -> Iterator[Feed]:
    """A station where nothing happens unless a test changes ``calm.values``."""
    quantities = {"pm2_5": ("pm2_5", "ug/m3"), "temperature": ("air_temperature", "Cel")}
    feed = Feed(system.mqtt_port, "gw-calm", "tdm", CALM_STATION, (10.98, 106.652), quantities)
    wait_until(lambda: system.get("/latest?station=tdm")["items"], "first samples")
    yield feed
    feed.stop()


@pytest.fixture(scope="session")
def busy(system: System) -> Iterator[Feed]:
    """A station with an alert that stays open."""
    quantities = {"pm2_5": ("pm2_5", "ug/m3")}
    feed = Feed(system.mqtt_port, "gw-busy", "mp", BUSY_STATION, (11.12, 106.61), quantities)
    feed.values["pm2_5"] = 140.0
    wait_until(lambda: system.get("/alerts?state=firing&station=mp")["items"], "an alert")
    yield feed
    feed.stop()


@pytest.fixture(scope="session")
def hostile(system: System) -> Iterator[Feed]:
    """A foreign gateway whose names contain markup."""
    quantities = dict.fromkeys(HOSTILE_METRICS, ("", ""))
    feed = Feed(system.mqtt_port, "<i>gw 🐉", "<u>st", HOSTILE_NAME, (11.0, 106.7), quantities)
    wait_until(lambda: len(system.get("/latest?limit=1000&station=%3Cu%3Est")["items"]) >= 4)
    yield feed
    feed.stop()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, system: System) -> Iterator[Callable[..., Page]]:
    """Opens an address of the page; script errors fail the test."""
    contexts = []
    errors: list[str] = []

    def opened(address: str = "#/", **context: Any) -> Page:
        made = browser.new_context(base_url=system.url, **{"locale": "vi-VN"} | context)
        contexts.append(made)
        page = made.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"/{address}")
        expect(page.locator(".live.live")).to_be_visible()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def chart_address(series: str, span: str = "10m") -> str:
    return f"#/chart?series={series.replace('/', '%2F')}&range={span}"


@pytest.fixture
def every_page(system: System, calm: Feed, busy: Feed) -> dict[str, str]:
    """The address of each kind of page, with content."""
    alert = system.get("/alerts?state=open&station=mp")["items"][0]
    return {
        "stations": "#/",
        "station": "#/station/mp",
        "chart": chart_address("gw-busy/sensor/pm2_5"),
        "alerts": "#/alerts",
        "alert": f"#/alerts/{alert['id']}",
        "silences": "#/alerts/silences",
        "messages": "#/alerts/notifications",
        "report": "#/alerts/report",
        "rules": "#/alerts/rules",
        "compare": "#/compare?series=gw-busy/sensor/pm2_5&series=gw-calm/sensor/pm2_5&range=10m",
        "system": "#/system",
        "gateway": "#/system/gw-busy",
        "no such page": "#/nowhere",
    }
