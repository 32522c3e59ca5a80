"""Actions of an officer on an alert."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.servers import wait_until
from tests.web.conftest import OFFICER
from tests.web.feed import Feed
from tests.web.system import System

pytestmark = pytest.mark.chromium

Open = Callable[..., Page]


@pytest.fixture
def rising(system: System, request: pytest.FixtureRequest) -> Iterator[Feed]:
    """A station for this test only, without an alert yet."""
    station = f"{request.node.name[:20]}"
    feed = Feed(
        system.mqtt_port, f"gw-{station}", station, f"Trạm {station}", (11.2, 106.7),
        {"pm2_5": ("pm2_5", "ug/m3")},
    )  # fmt: skip
    wait_until(lambda: system.get(f"/latest?station={station}")["items"], "first samples")
    yield feed
    feed.stop()


def test_an_alert_appears_by_itself_and_is_acknowledged_by_name(
    open_page: Open, rising: Feed
) -> None:
    page = open_page("#/alerts")
    row = page.get_by_role("row").filter(has_text=f"{rising.gateway.removeprefix('gw-')}:")
    expect(row).to_have_count(0)
    rising.values["pm2_5"] = 150.0
    expect(row).to_contain_text("vượt 100 µg/m³")
    expect(row).to_contain_text("Đang cảnh báo")
    row.get_by_role("button", name="Tiếp nhận").click()
    expect(row).to_contain_text("hãy ghi tên người trực trước")
    page.get_by_label("Tên người trực").fill(OFFICER)
    row.get_by_role("button", name="Tiếp nhận").click()
    expect(row).to_contain_text("Đã tiếp nhận")
    row.get_by_role("link").click()
    history = page.get_by_role("listitem").filter(has_text="Tiếp nhận")
    expect(history).to_contain_text(OFFICER)


def test_it_is_commented_assigned_and_closed_and_leaves_the_list(
    open_page: Open, rising: Feed, system: System
) -> None:
    rising.values["pm2_5"] = 150.0
    station = rising.gateway.removeprefix("gw-")
    found = wait_until(lambda: system.get(f"/alerts?state=firing&station={station}")["items"])
    alert = found[0]["id"]  # type: ignore[index]
    page = open_page(f"#/alerts/{alert}")
    page.get_by_label("Tên người trực").fill(OFFICER)
    page.get_by_label("Ghi chú").fill("Đốt rác cạnh trạm <b>đã báo</b> 🔥")
    page.get_by_role("button", name="Lưu ghi chú").click()
    expect(page.locator(".history")).to_contain_text("Đốt rác cạnh trạm <b>đã báo</b> 🔥")
    page.get_by_label("Giao cho").fill("Lê Văn Cường")
    page.get_by_role("button", name="Giao", exact=True).click()
    expect(page.locator(".facts")).to_contain_text("Lê Văn Cường")
    rising.values["pm2_5"] = 20.0
    expect(page.locator(".facts")).to_contain_text("Đã kết thúc")
    page.get_by_role("link", name="Tất cả cảnh báo").click()
    row = page.get_by_role("row").filter(has_text=f"{station}:")
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Tất cả").click()
    expect(row).to_contain_text("Đã kết thúc")


def test_the_name_is_remembered(open_page: Open, busy: Feed) -> None:
    page = open_page("#/alerts")
    page.get_by_label("Tên người trực").fill(OFFICER)
    page.reload()
    expect(page.get_by_label("Tên người trực")).to_have_value(OFFICER)
