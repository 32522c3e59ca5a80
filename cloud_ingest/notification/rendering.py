"""Composes the text of a notification: one message for one alert or for several."""

from collections.abc import Sequence

from alert_rules.rule import Severity
from cloud_ingest.alerts.model import Alert
from cloud_ingest.alerts.texts import shown_time

_WORDS = {
    "vi": {
        "fired": "Cảnh báo", "refired": "Cảnh báo trở lại", "rose": "Cảnh báo nặng hơn",
        "resolved": "Đã kết thúc", "escalated": "Chưa ai xác nhận", "assigned": "Được giao",
        "info": "thông tin", "warning": "cảnh báo", "critical": "nghiêm trọng",
        "since": "Từ", "until": "đến", "legal": "Căn cứ", "unverified": "giới hạn chưa được kiểm chứng",
        "demonstration": "ngưỡng trình diễn, không phải giới hạn pháp lý", "more": "{n} cảnh báo",
        "rest": "… và {n} cảnh báo khác, xem trên trang Quantrac.",
    },
    "en": {
        "fired": "Alert", "refired": "Alert again", "rose": "Alert more severe",
        "resolved": "Over", "escalated": "Not acknowledged", "assigned": "Assigned",
        "info": "information", "warning": "warning", "critical": "critical",
        "since": "From", "until": "to", "legal": "Basis", "unverified": "limit not verified",
        "demonstration": "demonstration limit, not a legal one", "more": "{n} alerts",
        "rest": "… and {n} more, to be seen on the Quantrac page.",
    },
}  # fmt: skip


MOST_SHOWN = 20
"""A message describes at most this many alerts in full: chats refuse long messages."""
_STATIONS_NAMED = 5


def compose(news: Sequence[tuple[str, Alert]], language: str) -> tuple[str, str, Severity]:
    """Title, body and severity of one message about (kind, alert) pairs, the worst first."""
    words = _WORDS[language]
    ordered = sorted(news, key=lambda n: -Severity(n[1].severity).rank)
    worst = Severity(ordered[0][1].severity)
    kind, first = ordered[0]
    if len(news) == 1:
        title = f"[{words[worst.value]}] {words[kind]}: {first.name.get(language, first.rule)}"
    else:
        count = words["more"].format(n=len(news))
        title = f"[{words[worst.value]}] {count}: {_stations(news)}"
    parts = [_paragraph(k, a, language) for k, a in ordered[:MOST_SHOWN]]
    if len(ordered) > MOST_SHOWN:
        parts.append(words["rest"].format(n=len(ordered) - MOST_SHOWN))
    return title, "\n\n".join(parts), worst


def _stations(news: Sequence[tuple[str, Alert]]) -> str:
    names = sorted({alert.station for _, alert in news if alert.station})
    more = "" if len(names) <= _STATIONS_NAMED else f" +{len(names) - _STATIONS_NAMED}"
    return ", ".join(names[:_STATIONS_NAMED]) + more


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
