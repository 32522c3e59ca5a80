"""Findings of a detector as sentences in Vietnamese and in English."""

import math
from dataclasses import dataclass

from cloud_ingest.detection.detector import Reason
from telemetry.quantities import QUANTITIES
from telemetry.series import Series
from telemetry.time.local_time import local_datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector saw in one sample; ``Scores`` explains the fields."""

    reason: Reason
    time_ms: int
    since_ms: int
    value: float
    expected: float
    low: float
    high: float
    score: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """One sentence in both languages."""

    vi: str
    en: str


_VI = {
    Reason.NONE: "không có gì bất thường",
    Reason.HIGH: "cao hơn hẳn mức trước nay của chuỗi số liệu này",
    Reason.LOW: "thấp hơn hẳn mức trước nay của chuỗi số liệu này",
    Reason.RISE: "tăng nhanh hơn hẳn thường lệ",
    Reason.FALL: "giảm nhanh hơn hẳn thường lệ",
    Reason.UNSTEADY: "dao động mạnh hơn hẳn thường lệ",
    Reason.QUIET: "dao động ít hơn hẳn thường lệ",
    Reason.HIGH_FOR_TIME: "cao bất thường so với giờ này trong ngày và trong tuần",
    Reason.LOW_FOR_TIME: "thấp bất thường so với giờ này trong ngày và trong tuần",
    Reason.SHIFT_UP: "mặt bằng đã chuyển lên mức cao hơn",
    Reason.SHIFT_DOWN: "mặt bằng đã chuyển xuống mức thấp hơn",
    Reason.SPIKE: "nhảy vọt đột ngột, nghi do cảm biến",
    Reason.STUCK: "lặp lại một giá trị lâu hơn nhiều so với thói quen của cảm biến: nghi bị kẹt",
    Reason.OFFSET: "lệch hẳn so với các trạm khác từ sau một bước nhảy: nghi lệch điểm không",
    Reason.DRIFT: "lệch dần so với các trạm khác: nghi trôi cảm biến",
    Reason.GAIN: "thay đổi theo tỷ lệ khác so với các trạm khác: nghi sai hệ số",
    Reason.DROPOUT: "báo giá trị của cảm biến mất tín hiệu",
    Reason.SATURATED: "nằm im ở giới hạn đo: nghi cảm biến bão hòa",
    Reason.OUT_OF_STEP: "không còn đi cùng các trạm khác",
    Reason.VISIT: "nhiều thông số của trạm cùng nhảy một lúc: có lẽ có người đang bảo trì",
    Reason.ERRATIC: "nhiễu hơn hẳn thường lệ: nghi cảm biến hoặc dây nối",
}
_EN = {
    Reason.NONE: "nothing unusual",
    Reason.HIGH: "far above anything this series had before",
    Reason.LOW: "far below anything this series had before",
    Reason.RISE: "rising much faster than it usually does",
    Reason.FALL: "falling much faster than it usually does",
    Reason.UNSTEADY: "much more unsteady than usual",
    Reason.QUIET: "much steadier than usual",
    Reason.HIGH_FOR_TIME: "unusually high for this time of the day and week",
    Reason.LOW_FOR_TIME: "unusually low for this time of the day and week",
    Reason.SHIFT_UP: "its level has moved up",
    Reason.SHIFT_DOWN: "its level has moved down",
    Reason.SPIKE: "a sudden jump, probably of the sensor",
    Reason.STUCK: "repeating one value far longer than this sensor does: probably stuck",
    Reason.OFFSET: "away from the other stations since a jump: probably an offset",
    Reason.DRIFT: "moving away from the other stations: probably drifting",
    Reason.GAIN: "no longer in its usual proportion to the other stations: probably a wrong gain",
    Reason.DROPOUT: "the value of a sensor without signal",
    Reason.SATURATED: "resting at the limit of its range: probably saturated",
    Reason.OUT_OF_STEP: "no longer moving with the other stations",
    Reason.VISIT: "many metrics of the station jumped together: probably somebody is servicing it",
    Reason.ERRATIC: "much noisier than usual: probably the sensor or its wiring",
}


def explain(series: Series, finding: Finding) -> Explanation:
    """A sentence with quantity, station, start, value, expected band and rarity of a finding."""
    known = QUANTITIES.get(series.quantity)
    vi_name = known.vi if known else series.key.metric
    en_name = known.en if known else series.key.metric
    unit = "" if series.unit in ("", "1") else f" {series.unit.strip('[]')}"
    clock = _clock(finding.since_ms)
    vi = f"{vi_name} tại {series.station}: {_VI[finding.reason]}, từ {clock}; hiện {_number(finding.value)}{unit}"
    en = f"{en_name} at {series.station}: {_EN[finding.reason]}, since {clock}; now {_number(finding.value)}{unit}"
    if math.isfinite(finding.expected):
        band = f"{_number(finding.low)} – {_number(finding.high)}{unit}"
        vi += f", bình thường khoảng {_number(finding.expected)}{unit} ({band})"
        en += f", normally about {_number(finding.expected)}{unit} ({band})"
    if finding.score > 0:
        vi_rare, en_rare = _how_rare(finding.score)
        vi += f". Trường hợp như vậy {vi_rare}"
        en += f". The like is seen {en_rare}"
    return Explanation(f"{vi}.", f"{en}.")


def _how_rare(score: float) -> tuple[str, str]:
    hours = 10.0**score
    for limit, size, vi, en in (
        (48, 1, "giờ", "hours"),
        (24 * 60, 24, "ngày", "days"),
        (24 * 730, 24 * 30.44, "tháng", "months"),
    ):
        if hours < limit:
            count = max(round(hours / size), 1)
            en_unit = en.removesuffix("s") if count == 1 else en
            return f"khoảng {count} {vi} mới có một lần", f"about once in {count} {en_unit}"
    return "nhiều năm mới có một lần", "less than once in two years"


def _clock(time_ms: int) -> str:
    return local_datetime(time_ms).strftime("%H:%M %d/%m/%Y")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    if value == 0 or 0.001 <= abs(value) < 1e6:
        digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
        return f"{value:.{digits}f}"
    return f"{value:.3g}"
