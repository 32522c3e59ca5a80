"""Live updates of values, charts and the connection state."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import CALM_STATION, chart_address
from tests.web.feed import Feed
from tests.web.system import System

pytestmark = pytest.mark.chromium

Open = Callable[..., Page]

# Dots of the chart that have the colour of a critical limit, and those tinted by an alert's span.
COUNT_DOTS = """() => {
  const canvas = document.querySelector(".plot canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let line = 0, span = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b, a] = [data[i], data[i + 1], data[i + 2], data[i + 3]];
    if (a > 240 && Math.abs(r - 180) < 12 && Math.abs(g - 35) < 12 && Math.abs(b - 24) < 12) line++;
    if (Math.abs(r - 248) < 5 && Math.abs(g - 217) < 5 && Math.abs(b - 215) < 5) span++;
  }
  return { line, span };
}"""


def test_stations_appear_with_values_that_change_by_themselves(open_page: Open, calm: Feed) -> None:
    calm.values["pm2_5"] = 21.5
    page = open_page()
    card = page.locator(".card", has_text=CALM_STATION)
    expect(card).to_contain_text("21,5 µg/m³")
    page.evaluate("window.sameDocument = true")
    calm.values["pm2_5"] = 33.25
    expect(card).to_contain_text("33,25 µg/m³")
    assert page.evaluate("window.sameDocument"), "the page was loaded again"


def test_a_marker_on_the_map_leads_to_its_station(open_page: Open, calm: Feed) -> None:
    page = open_page()
    page.get_by_role("button", name=CALM_STATION).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(CALM_STATION)
    expect(page.get_by_role("row").filter(has_text="Nhiệt độ không khí")).to_be_visible()


def test_a_station_with_particles_has_its_index_of_the_hour_and_the_day(
    open_page: Open, calm: Feed
) -> None:
    page = open_page("#/station/tdm")
    expect(page.get_by_text("VN_AQI giờ")).to_be_visible()
    expect(page.get_by_text("VN_AQI ngày")).to_be_visible()
    expect(page.get_by_text("chưa đủ dữ liệu để tính")).to_have_count(2)


def test_a_chart_opens_from_a_value_and_grows(open_page: Open, calm: Feed) -> None:
    page = open_page("#/station/tdm")
    page.get_by_role("row").filter(has_text="Nhiệt độ").get_by_role("link").click()
    expect(page.get_by_role("figure")).to_contain_text(f"{CALM_STATION} – Nhiệt độ không khí")
    calm.values["temperature"] = 31.75
    expect(page.get_by_role("figure")).to_contain_text("31,75 °C")


def test_a_chart_shows_the_limit_and_the_span_of_an_alert(open_page: Open, busy: Feed) -> None:
    page = open_page(chart_address("gw-busy/sensor/pm2_5"))
    expect(page.get_by_text("Khoảng có cảnh báo")).to_be_visible()
    expect(page.locator(".notes")).to_contain_text("100 µg/m³")
    page.wait_for_function(
        f"() => {{ const c = ({COUNT_DOTS})(); return c.line > 300 && c.span > 300; }}"
    )


def test_a_chart_without_a_rule_has_neither(open_page: Open, calm: Feed) -> None:
    page = open_page(chart_address("gw-calm/sensor/temperature"))
    expect(page.locator(".plot canvas")).to_be_visible()
    assert page.evaluate(COUNT_DOTS) == {"line": 0, "span": 0}


def test_a_chart_is_read_by_keyboard_and_as_a_table(open_page: Open, calm: Feed) -> None:
    page = open_page(chart_address("gw-calm/sensor/pm2_5"))
    page.get_by_text("Xem dạng bảng").click()
    expect(page.get_by_role("row").nth(3)).to_be_visible()  # three times can be read
    page.locator(".plot").focus()
    page.keyboard.press("Home")
    reading = page.locator(".read[aria-live=polite]")
    first = reading.inner_text()
    page.keyboard.press("ArrowRight")
    expect(reading).not_to_have_text(first)


def test_the_page_says_that_it_lost_the_connection_and_finds_it_again(
    open_page: Open, system: System, calm: Feed
) -> None:
    page = open_page()
    system.stop()
    expect(page.locator(".live")).to_contain_text("Mất kết nối từ")
    system.start()
    expect(page.locator(".live")).to_have_text("Trực tuyến")
    calm.values["pm2_5"] = 44.25
    expect(page.locator(".card", has_text=CALM_STATION)).to_contain_text("44,25 µg/m³")
