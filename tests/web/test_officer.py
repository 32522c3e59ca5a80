"""More work of officers: several alerts at once, silences, messages, comparisons, reports."""

import csv
import io
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.servers import wait_until
from tests.web.conftest import BUSY_STATION, CALM_STATION, OFFICER
from tests.web.feed import Feed
from tests.web.system import System

pytestmark = pytest.mark.chromium

Open = Callable[..., Page]
PM2_5 = {"pm2_5": ("pm2_5", "ug/m3")}


@pytest.fixture
def pair(system: System) -> Iterator[list[Feed]]:
    """Two stations with an alert each, for these tests only."""
    feeds = []
    for name in ("hai-a", "hai-b"):
        feed = Feed(system.mqtt_port, f"gw-{name}", name, f"Trạm {name}", (11.0, 106.6), PM2_5)
        feed.values["pm2_5"] = 160.0
        feeds.append(feed)
    for feed in feeds:
        alert_of(system, feed)
    yield feeds
    for feed in feeds:
        feed.values["pm2_5"] = 20.0
    for feed in feeds:
        station = feed.gateway.removeprefix("gw-")
        wait_until(lambda s=station: not system.get(f"/alerts?state=open&station={s}")["items"])  # type: ignore[misc]
        feed.stop()


def alert_of(system: System, feed: Feed) -> int:
    station = feed.gateway.removeprefix("gw-")
    path = f"/alerts?state=firing,acknowledged&station={station}"
    found = wait_until(lambda: system.get(path)["items"], "an alert")
    return int(found[0]["id"])  # type: ignore[index]


def as_officer(page: Page) -> Page:
    page.get_by_label("Tên người trực").fill(OFFICER)
    return page


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


def chooser(page: Page, name: str) -> Locator:
    return page.get_by_role("combobox", name=name, exact=True)


def test_several_alerts_are_acknowledged_at_once(open_page: Open, pair: list[Feed]) -> None:
    page = open_page("#/alerts")
    expect(page.get_by_role("button", name="Tiếp nhận 0 cảnh báo đã chọn")).to_be_disabled()
    for feed in pair:
        row(page, f"{feed.gateway.removeprefix('gw-')}:").get_by_role("checkbox").check()
    together = page.get_by_role("button", name="Tiếp nhận 2 cảnh báo đã chọn")
    together.click()
    expect(page.locator(".several")).to_contain_text("hãy ghi tên người trực trước")
    as_officer(page)
    together.click()
    for feed in pair:
        mine = row(page, f"{feed.gateway.removeprefix('gw-')}:")
        expect(mine).to_contain_text("Đã tiếp nhận")
        expect(mine.get_by_role("checkbox")).to_have_count(0)


def test_an_alert_is_silenced_until_it_is_resolved(
    open_page: Open, pair: list[Feed], system: System
) -> None:
    alert = alert_of(system, pair[0])
    page = as_officer(open_page(f"#/alerts/{alert}"))
    page.get_by_label("Lý do").fill("Đốt rác cạnh trạm")
    chooser(page, "Kéo dài đến").select_option(label="Đến khi cảnh báo này kết thúc")
    page.get_by_role("button", name="Tắt thông báo").click()
    expect(page.locator(".history")).to_contain_text("Đốt rác cạnh trạm")
    page.get_by_role("link", name="Đang tắt thông báo").click()
    listed = row(page, "Đốt rác cạnh trạm")
    expect(listed).to_contain_text(f"khi cảnh báo số {alert} kết thúc")
    expect(listed).to_contain_text(OFFICER)
    listed.get_by_role("button", name="Kết thúc ngay").click()
    expect(listed).to_be_hidden()
    page.get_by_text("Các đợt đã hết").click()
    expect(listed).to_contain_text(f"{OFFICER} đã kết thúc")


def test_a_maintenance_is_planned_for_one_device_in_the_time_of_vietnam(
    open_page: Open, calm: Feed, system: System
) -> None:
    page = as_officer(open_page("#/alerts/silences?station=tdm", timezone_id="America/New_York"))
    expect(chooser(page, "Trạm")).to_have_value("tdm")
    chooser(page, "Thiết bị").select_option(label="gw-calm/sensor")
    page.get_by_label("Bắt đầu").fill("2030-01-01T08:00")
    chooser(page, "Kéo dài đến").select_option(label="Đến thời điểm…")
    page.get_by_role("textbox", name="Kết thúc", exact=True).fill("2030-01-02T03:04")
    page.get_by_label("Lý do").fill("Hiệu chuẩn định kỳ")
    page.get_by_role("button", name="Lập", exact=True).click()
    expect(row(page, "Hiệu chuẩn định kỳ")).to_contain_text("02/01/2030 03:04:00")
    (made,) = (s for s in system.get("/silences")["items"] if s["reason"] == "Hiệu chuẩn định kỳ")
    assert (made["kind"], made["station"], made["device"]) == ("maintenance", "tdm", "sensor")
    assert (made["start_ms"], made["end_ms"]) == (1_893_459_600_000, 1_893_528_240_000)
    row(page, "Hiệu chuẩn định kỳ").get_by_role("button", name="Kết thúc ngay").click()


def test_a_channel_is_tried_and_the_log_says_what_was_sent(
    open_page: Open, busy: Feed, system: System
) -> None:
    page = as_officer(open_page("#/alerts/notifications"))
    channel = row(page, "van-phong").first
    expect(channel).to_contain_text("Nghiêm trọng")
    before = len(system.office.bodies)
    channel.get_by_role("button", name="Gửi thử").click()
    expect(channel.get_by_role("status")).to_contain_text("Đã gửi tin thử lúc")
    assert len(system.office.bodies) > before
    system.office.status = 503
    try:
        channel.get_by_role("button", name="Gửi thử").click()
        expect(channel.get_by_role("status")).to_contain_text("không gửi được")
    finally:
        system.office.status = 200
    page.get_by_role("button", name="Đã gửi").click()
    sent = row(page, BUSY_STATION).filter(has_text="Cảnh báo mới")
    expect(sent.first).to_contain_text("Đã gửi")
    sent.first.get_by_role("link").click()
    expect(page.get_by_role("region", name="Tin đã gửi về cảnh báo này")).to_contain_text(
        "van-phong"
    )


def test_series_are_compared_with_values_at_the_same_time(
    open_page: Open, busy: Feed, calm: Feed
) -> None:
    page = open_page("#/chart?series=gw-busy/sensor/pm2_5&range=10m")
    page.get_by_role("link", name="So sánh nhiều chuỗi").click()
    lines = page.locator(".compared tbody tr")
    expect(lines).to_have_count(1)
    chooser(page, "Trạm").select_option(label=CALM_STATION)
    chooser(page, "Chuỗi số liệu").select_option("gw-calm/sensor/temperature")
    page.get_by_role("button", name="Thêm vào biểu đồ").click()
    expect(lines).to_have_count(2)
    expect(lines.nth(1)).to_contain_text("°C")
    page.get_by_role("button", name="khác cùng đo Bụi PM2.5").click()
    expect(lines.filter(has_text="gw-calm/sensor/pm2_5")).to_have_count(1)
    expect(page.locator(".plot canvas")).to_be_visible()
    newest = page.locator(".compared thead")
    expect(newest).to_contain_text("Mới nhất")
    page.locator(".plot").focus()
    page.keyboard.press("Home")
    expect(newest).not_to_contain_text("Mới nhất")
    count = lines.count()
    page.get_by_role("button", name=f"Bỏ {BUSY_STATION} – Bụi PM2.5").click()
    expect(lines).to_have_count(count - 1)


def test_a_report_is_shown_printed_and_saved(open_page: Open, busy: Feed) -> None:
    page = open_page("#/alerts/report")
    page.get_by_role("button", name="Hôm nay").click()
    chooser(page, "Trạm").select_option(label=BUSY_STATION)
    line = row(page, "gw-busy/sensor/pm2_5").first
    for said in ("Bụi cao", BUSY_STATION, "100 µg/m³", "còn tiếp diễn", "chưa ai"):
        expect(line).to_contain_text(said)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Tải CSV").click()
    text = saved.value.path().read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {r["Trạm"] for r in rows} == {BUSY_STATION}
    assert rows[0]["Ngưỡng"] == "100.0"
    with page.expect_download() as saved:
        page.get_by_role("link", name="Tải Excel").click()
    assert saved.value.path().read_bytes().startswith(b"PK")
    expect(page.get_by_text("Người duyệt")).to_be_hidden()
    page.emulate_media(media="print")
    expect(page.get_by_text("Người duyệt")).to_be_visible()
    expect(page.get_by_role("navigation").first).to_be_hidden()


def test_the_rules_that_watch_are_listed_with_their_limits(open_page: Open, busy: Feed) -> None:
    page = open_page("#/alerts")
    page.get_by_role("link", name="Quy tắc và ngưỡng").click()
    expect(row(page, "Bụi cao")).to_contain_text("trên 100 µg/m³")


def test_what_was_quarantined_is_taken_in_again_or_deleted(
    open_page: Open, calm: Feed, system: System
) -> None:
    calm.publish("spBv1.0/lost/DDATA/gw-calm/sensor", b"\xff\xff")

    def mine() -> list[int]:
        found = system.get("/quarantine?limit=1000")["items"]
        return [q["id"] for q in found if q["topic"].startswith("spBv1.0/lost/")]

    wait_until(mine, "the message in quarantine")
    page = as_officer(open_page("#/system"))
    expect(page.get_by_role("region", name="Bản tin bị cách ly")).to_be_visible()
    listed = row(page, "spBv1.0/lost/DDATA/gw-calm/sensor")
    with page.expect_response(lambda answer: answer.url.endswith("/replay")) as answer:
        listed.get_by_role("button", name="Nhận lại").click()
    assert answer.value.status == 202
    wait_until(mine, "it failed again")
    page.on("dialog", lambda dialog: dialog.accept())
    listed.get_by_role("button", name="Xóa").first.click()
    expect(listed).to_have_count(0)
    assert mine() == []


def test_a_gateway_shows_its_days_and_what_happened(open_page: Open, calm: Feed) -> None:
    page = open_page("#/system")
    page.get_by_role("link", name="gw-calm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("gw-calm")
    days = page.get_by_role("region", name="Sổ số liệu từng ngày")
    expect(days.get_by_role("row")).not_to_have_count(0)
    happened = page.get_by_role("region", name="Sự kiện gần đây")
    expect(happened).to_contain_text("Bộ thu thập kết nối")
