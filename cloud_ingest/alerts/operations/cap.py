"""An alert as a document of the Common Alerting Protocol (OASIS CAP 1.2)."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from cloud_ingest.alerts.model import Alert, Entry
from telemetry.time.local_time import local_datetime

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
SENDER = "quantrac"
_SEVERITY = {"info": "Minor", "warning": "Moderate", "critical": "Severe"}
_CATEGORY = {"no_data": "Infra"}
_CHANGES = frozenset({"rose", "refired", "acknowledged"})
_LANGUAGES = {"vi": "vi-VN", "en": "en-US"}


def cap_document(alert: Alert, history: Sequence[Entry] = (), sender: str = SENDER) -> bytes:
    """The document, in UTF-8, with one info block a language.

    ``msgType`` is Alert at first; Update after a rise, a re-fire or an acknowledgement in ``history``;
    Cancel when it is resolved. The first message keeps its identifier and time, and every later one
    refers to it.
    """
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(_tag("alert"))
    first_ms = alert.fired_ms or alert.start_ms
    kind = _message_type(alert, history)
    sent_ms = first_ms if kind == "Alert" else max(alert.updated_ms, first_ms)
    _add(root, "identifier", _identifier(sender, alert, sent_ms))
    _add(root, "sender", sender)
    _add(root, "sent", _time(sent_ms))
    _add(root, "status", "Exercise" if alert.rule.startswith("demo/") else "Actual")
    _add(root, "msgType", kind)
    _add(root, "scope", "Restricted")
    _add(root, "restriction", "For the officers in charge")
    if kind != "Alert":
        first = _identifier(sender, alert, first_ms)
        _add(root, "references", f"{sender},{first},{_time(first_ms)}")
    for language, code in _LANGUAGES.items():
        _add_info(root, alert, language, code)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _identifier(sender: str, alert: Alert, sent_ms: int) -> str:
    return f"{sender}-{alert.id}-{sent_ms}"


def _message_type(alert: Alert, history: Sequence[Entry]) -> str:
    if alert.state == "resolved":
        return "Cancel"
    changed = any(entry.kind in _CHANGES for entry in history)
    return "Update" if changed or alert.state == "acknowledged" or alert.fires > 1 else "Alert"


def _add_info(root: ET.Element, alert: Alert, language: str, code: str) -> None:
    info = ET.SubElement(root, _tag("info"))
    _add(info, "language", code)
    _add(info, "category", _CATEGORY.get(alert.kind, "Env"))
    _add(info, "event", alert.name.get(language, alert.rule))
    _add(info, "responseType", "None" if alert.state == "resolved" else "Assess")
    _add(
        info, "urgency", "Past" if alert.state == "resolved" or alert.retrospective else "Immediate"
    )
    _add(info, "severity", _SEVERITY.get(alert.severity, "Unknown"))
    _add(info, "certainty", "Likely" if alert.kind == "anomaly" else "Observed")
    _add(info, "onset", _time(alert.start_ms))
    if alert.end_ms is not None:
        _add(info, "expires", _time(alert.end_ms))
    _add(info, "senderName", "Quantrac")
    _add(info, "headline", alert.name.get(language, alert.rule)[:160])
    _add(info, "description", alert.text.get(language, ""))
    for name in ("rule", "subject", "value", "limit_value", "unit", "peak"):
        value = getattr(alert, name)
        if value is not None:
            parameter = ET.SubElement(info, _tag("parameter"))
            _add(parameter, "valueName", name)
            _add(parameter, "value", str(value))
    area = ET.SubElement(info, _tag("area"))
    _add(area, "areaDesc", alert.station or "*")


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, _tag(name)).text = text


def _time(time_ms: int) -> str:
    """Local time with its offset and without fractions, as CAP demands."""
    return local_datetime(time_ms).isoformat(timespec="seconds")
