"""The report of alerts as CSV and Excel files, in Vietnamese or English."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import xlsxwriter

from cloud_ingest.alerts.texts import shown_unit
from telemetry.time.local_time import local_datetime

CSV = "text/csv"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADS = {
    "vi": (
        "Số", "Mức độ", "Trạm", "Nội dung", "Đối tượng", "Bắt đầu", "Kết thúc", "Kéo dài (phút)",
        "Giá trị đỉnh", "Ngưỡng", "Đơn vị", "Căn cứ", "Trạng thái", "Người tiếp nhận", "Tiếp nhận lúc",
        "Giao cho", "Ghi chú",
    ),
    "en": (
        "No.", "Severity", "Station", "What", "Subject", "Since", "Until", "Duration (min)", "Peak",
        "Limit", "Unit", "Legal basis", "State", "Acknowledged by", "Acknowledged at", "Assigned to",
        "Remarks",
    ),
}  # fmt: skip
_WORDS = {
    "vi": {
        "info": "Thông tin", "warning": "Cảnh báo", "critical": "Nghiêm trọng",
        "firing": "Đang cảnh báo", "acknowledged": "Đã tiếp nhận", "resolved": "Đã kết thúc",
        "unverified": "giới hạn chưa đối chiếu với văn bản gốc",
        "demonstration": "ngưỡng trình diễn, không phải giới hạn pháp lý",
        "late": "phát hiện muộn từ dữ liệu gửi bù", "muted": "được gộp vào cảnh báo số {n}",
        "sheet": "Cảnh báo", "title": "Cảnh báo từ {since} đến {until} (giờ Việt Nam)",
    },
    "en": {
        "info": "Information", "warning": "Warning", "critical": "Critical", "firing": "Firing",
        "acknowledged": "Acknowledged", "resolved": "Resolved",
        "unverified": "limit not checked against the original document",
        "demonstration": "demonstration limit, not a legal one",
        "late": "found later, in data that came late", "muted": "explained by alert {n}",
        "sheet": "Alerts", "title": "Alerts from {since} to {until} (Vietnam time)",
    },
}  # fmt: skip
_LEGAL_VI = {
    "not stated; 1 hour is ours": "văn bản không nêu; tính theo 1 giờ",
    "not verified": "chưa đối chiếu", "table 1": "bảng 1", "table 2": "bảng 2",
    "column A": "cột A", "column B": "cột B", "column C": "cột C", "category 2.4": "mục 2.4",
    "1 hour": "1 giờ", "8 hours": "8 giờ", "24 hours": "24 giờ", "year": "năm",
    "equivalent level": "mức tương đương", "river, class A": "sông, mức A",
    "river, class B": "sông, mức B", "river, class C": "sông, mức C",
    "by receiving water, flow band and permit": "theo nguồn tiếp nhận, lưu lượng và giấy phép",
    "special area": "khu vực đặc biệt", "common area": "khu vực thông thường",
    "by class of the affected area": "theo loại khu vực bị ảnh hưởng",
    "all surface water": "mọi nước mặt",
}  # fmt: skip
_WIDTHS = (7, 14, 22, 36, 30, 17, 17, 12, 12, 10, 9, 34, 16, 22, 17, 18, 34)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(items: Sequence[dict[str, Any]], language: str) -> bytes:
    """The report as CSV in UTF-8, with the byte order mark that Excel needs."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_HEADS[language])
    for item in items:
        writer.writerow([_plain(cell) for cell in _cells(item, language)])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def excel_of(items: Sequence[dict[str, Any]], language: str, since_ms: int, until_ms: int) -> bytes:
    """The report as a workbook: a title, then one row for each alert, with Excel date cells."""
    words, heads = _WORDS[language], _HEADS[language]
    out = io.BytesIO()
    book = xlsxwriter.Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    bold = book.add_format({"bold": True, "bottom": 1})
    time = book.add_format({"num_format": "dd/mm/yyyy hh:mm", "align": "left"})
    sheet = book.add_worksheet(words["sheet"])
    since, until = (_local(t).strftime("%d/%m/%Y %H:%M") for t in (since_ms, until_ms))
    sheet.write_string(0, 0, words["title"].format(since=since, until=until))
    sheet.write_row(2, 0, heads, bold)
    for row, item in enumerate(items, start=3):
        for column, cell in enumerate(_cells(item, language)):
            if isinstance(cell, datetime):
                sheet.write_datetime(row, column, cell, time)
            elif isinstance(cell, str):
                sheet.write_string(row, column, cell)
            elif cell is not None:
                sheet.write_number(row, column, cell)
    for column, width in enumerate(_WIDTHS):
        sheet.set_column(column, column, width)
    sheet.freeze_panes(3, 0)
    sheet.autofilter(2, 0, 2 + len(items), len(heads) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    book.close()
    return out.getvalue()


def _cells(item: dict[str, Any], language: str) -> list[Any]:
    words, end_ms = _WORDS[language], item["end_ms"]
    lasting = None if end_ms is None else round((end_ms - item["start_ms"]) / 60_000, 1)
    return [
        item["id"], words[item["severity"]], item["station_name"], item["name"].get(language),
        item["subject"], _local(item["start_ms"]), _local(end_ms), lasting, item["peak"],
        item["limit"], shown_unit(item["unit"] or ""), _basis(item, language), words[item["state"]],
        item["acknowledged_by"], _local(item["acknowledged_ms"]), item["assignee"],
        _remarks(item, words),
    ]  # fmt: skip


def _basis(item: dict[str, Any], language: str) -> str:
    legal, words = item["legal"], _WORDS[language]
    if legal is None:
        return words["demonstration"] if item["demonstration"] else ""
    parts = [legal["document"], legal["clause"], legal["area"], legal["averaging"]]
    if language == "vi":
        parts = [_LEGAL_VI.get(p, p) for p in parts]
    return " · ".join(p for p in parts if p) + (
        "" if legal["verified"] else f" ({words['unverified']})"
    )


def _remarks(item: dict[str, Any], words: dict[str, str]) -> str:
    remarks = [words["late"]] if item["retrospective"] else []
    if item["muted_by"] is not None:
        remarks.append(words["muted"].format(n=item["muted_by"]))
    return "; ".join(remarks)


def _local(time_ms: int | None) -> Any:
    """Vietnam's local time without a zone, since spreadsheets have none."""
    if time_ms is None:
        return None
    return local_datetime(time_ms).replace(tzinfo=None, microsecond=0)


def _plain(cell: Any) -> Any:
    """A cell of the CSV file. Text that a spreadsheet would read as a formula gets an apostrophe."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
