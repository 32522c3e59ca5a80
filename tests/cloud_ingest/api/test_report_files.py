"""The report of alerts as spreadsheet files."""

import csv
import io
from datetime import datetime
from typing import Any

import openpyxl
import pytest

from cloud_ingest.api.report_files import csv_of, excel_of

SINCE_MS = 1_795_453_200_000  # 24 November 2026, 00:00 in Vietnam
HOUR_MS = 3_600_000
LEGAL = {
    "document": "QCVN 05:2023/BTNMT", "clause": "table 1", "area": "", "averaging": "24 hours",
    "effective_from": None, "effective_to": None, "verified": False, "source": "a table",
}  # fmt: skip
LINE: dict[str, Any] = {
    "id": 7, "rule": "vn-air/pm2_5-24h", "name": {"vi": "Bụi cao", "en": "High dust"},
    "severity": "warning", "state": "resolved", "station": "tdm", "station_name": "Thủ Dầu Một",
    "subject": "g/d/m", "start_ms": SINCE_MS + HOUR_MS, "end_ms": SINCE_MS + 2 * HOUR_MS,
    "peak": 57.25, "limit": 45.0, "comparison": "above", "unit": "ug/m3", "legal": LEGAL,
    "demonstration": False, "retrospective": True, "muted_by": 3, "acknowledged_by": "Bình",
    "acknowledged_ms": SINCE_MS + HOUR_MS + 60_000, "assignee": None,
}  # fmt: skip


def rows_of(items: list[dict[str, Any]], language: str = "vi") -> list[dict[str, str]]:
    text = csv_of(items, language).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_says_which_where_when_how_far_and_who() -> None:
    (row,) = rows_of([LINE])
    assert row["Trạm"] == "Thủ Dầu Một"
    assert (row["Bắt đầu"], row["Kết thúc"]) == ("2026-11-24 01:00:00", "2026-11-24 02:00:00")
    assert (row["Kéo dài (phút)"], row["Giá trị đỉnh"], row["Đơn vị"]) == ("60.0", "57.25", "µg/m³")
    assert row["Căn cứ"] == (
        "QCVN 05:2023/BTNMT · bảng 1 · 24 giờ (giới hạn chưa đối chiếu với văn bản gốc)"
    )
    assert (row["Người tiếp nhận"], row["Giao cho"]) == ("Bình", "")
    assert row["Ghi chú"] == "phát hiện muộn từ dữ liệu gửi bù; được gộp vào cảnh báo số 3"


def test_both_languages_have_the_same_columns_and_an_open_alert_has_no_end() -> None:
    still_on = LINE | {"end_ms": None, "legal": None, "demonstration": True}
    (row,) = rows_of([still_on], "en")
    assert len(row) == len(rows_of([LINE])[0])
    assert (row["Until"], row["Duration (min)"]) == ("", "")
    assert row["Legal basis"] == "demonstration limit, not a legal one"


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\tx", 'a "b"\n;c, 🌫️'])
def test_what_a_gateway_calls_itself_is_no_formula(name: str) -> None:
    hostile = LINE | {"station_name": name, "subject": name, "acknowledged_by": name}
    (row,) = rows_of([hostile])
    assert row["Trạm"] in {name, f"'{name}"}
    assert not row["Trạm"].startswith(("=", "+", "-", "@", "\t"))
    book = openpyxl.load_workbook(io.BytesIO(excel_of([hostile], "vi", SINCE_MS, SINCE_MS + 1)))
    cell = book.active.cell(4, 3)
    assert (cell.data_type, cell.value) == ("s", name)


def test_excel_has_a_title_and_times_as_times() -> None:
    made = excel_of([LINE, LINE], "vi", SINCE_MS, SINCE_MS + 24 * HOUR_MS)
    sheet = openpyxl.load_workbook(io.BytesIO(made)).active
    assert sheet["A1"].value == ("Cảnh báo từ 24/11/2026 00:00 đến 25/11/2026 00:00 (giờ Việt Nam)")
    assert sheet["F4"].value == datetime(2026, 11, 24, 1, 0)  # noqa: DTZ001  # Excel knows no zones
    assert sheet["I4"].value == 57.25
    assert sheet.max_row == 5


def test_an_empty_report_is_a_head_without_lines() -> None:
    assert rows_of([]) == []
    assert openpyxl.load_workbook(io.BytesIO(excel_of([], "en", 0, 1))).active.max_row == 3
