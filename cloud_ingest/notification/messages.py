"""What a notification says: one message for one alert, or for several of one station."""

from collections.abc import Sequence

from alert_rules.schema import Severity
from cloud_ingest.alerts.model import Alert
from cloud_ingest.alerts.texts import shown_time

_WORDS = {
    "vi": {
        "fired": "Cảnh báo", "refired": "Cảnh báo trở lại", "rose": "Cảnh báo nặng hơn",
        "resolved": "Đã kết thúc", "escalated": "Chưa ai xác nhận", "assigned": "Được giao",
        "info": "thông tin", "warning": "cảnh báo", "critical": "nghiêm trọng",
        "since": "Từ", "until": "đến", "legal": "Căn cứ", "unverified": "giới hạn chưa được kiểm chứng",
        "demonstration": "ngưỡng trình diễn, không phải giới hạn pháp lý", "more": "{n} cảnh báo",
    },
    "en": {
        "fired": "Alert", "refired": "Alert again", "rose": "Alert more severe",
        "resolved": "Over", "escalated": "Not acknowledged", "assigned": "Assigned",
        "info": "information", "warning": "warning", "critical": "critical",
        "since": "From", "until": "to", "legal": "Basis", "unverified": "limit not verified",
        "demonstration": "demonstration limit, not a legal one", "more": "{n} alerts",
    },
}  # fmt: skip


def compose(news: Sequence[tuple[str, Alert]], language: str) -> tuple[str, str, Severity]:
    """Title, body and severity of one message about (kind, alert) pairs."""
    words = _WORDS[language]
    worst = max((Severity(alert.severity) for _, alert in news), key=lambda s: s.rank)
    kind, first = news[0]
    if len(news) == 1:
        title = f"[{words[first.severity]}] {words[kind]}: {first.name.get(language, first.rule)}"
    else:
        count = words["more"].format(n=len(news))
        stations = sorted({alert.station for _, alert in news if alert.station})
        title = f"[{words[worst.value]}] {count}: {', '.join(stations)}"
    return title, "\n\n".join(_paragraph(k, a, language) for k, a in news), worst


def _paragraph(kind: str, alert: Alert, language: str) -> str:
    words = _WORDS[language]
    when = f"{words['since']} {shown_time(alert.start_ms)}"
    if alert.end_ms is not None:
        when += f" {words['until']} {shown_time(alert.end_ms)}"
    lines = [f"{words[kind]} – {alert.text.get(language, alert.rule)}", when]
    if alert.legal is not None:
        basis = f"{words['legal']}: {alert.legal['document']}"
        lines.append(basis if alert.legal["verified"] else f"{basis} ({words['unverified']})")
    lines.append(f"{alert.rule} · {alert.subject} · #{alert.id}")
    return "\n".join(lines)
