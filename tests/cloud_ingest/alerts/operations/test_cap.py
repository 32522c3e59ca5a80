"""Every alert is a document of CAP 1.2 that other systems can follow from its first message to its end."""

import re
from xml.etree import ElementTree as ET

import pytest

from cloud_ingest.alerts.operations import AlertFilter
from cloud_ingest.alerts.operations.cap import NAMESPACE
from tests.cloud_ingest.alerts.parts import T0, batch_of, rule, series, service_of

# OASIS CAP 1.2, section 3.2: the elements in their order, with the values that are allowed.
ALERT = ["identifier", "sender", "sent", "status", "msgType", "source", "scope", "restriction",
         "addresses", "code", "note", "references", "incidents", "info"]  # fmt: skip
INFO = ["language", "category", "event", "responseType", "urgency", "severity", "certainty",
        "audience", "eventCode", "effective", "onset", "expires", "senderName", "headline",
        "description", "instruction", "web", "contact", "parameter", "resource", "area"]  # fmt: skip
ALLOWED = {
    "status": {"Actual", "Exercise", "System", "Test", "Draft"},
    "msgType": {"Alert", "Update", "Cancel", "Ack", "Error"},
    "scope": {"Public", "Restricted", "Private"},
    "category": {"Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport",
                 "Infra", "CBRNE", "Other"},
    "responseType": {"Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess",
                     "AllClear", "None"},
    "urgency": {"Immediate", "Expected", "Future", "Past", "Unknown"},
    "severity": {"Extreme", "Severe", "Moderate", "Minor", "Unknown"},
    "certainty": {"Observed", "Likely", "Possible", "Unlikely", "Unknown"},
}  # fmt: skip
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d"


def check(document):
    """The rules of the schema that a reader relies on; gives the texts of the head by name."""
    root = ET.fromstring(document)
    assert root.tag == f"{{{NAMESPACE}}}alert"
    assert_order(root, ALERT)
    for info in root.findall(f"{{{NAMESPACE}}}info"):
        assert_order(info, INFO)
    head = {name_of(c): c.text for c in root}
    for one in root.iter():
        if name_of(one) in ALLOWED:
            assert one.text in ALLOWED[name_of(one)], name_of(one)
        if name_of(one) in ("sent", "onset", "expires"):
            assert re.fullmatch(TIME, one.text)
    for name in ("identifier", "sender"):
        assert not set(head[name]) & set(" ,<&")
    return head


def name_of(element):
    return element.tag.split("}")[1]


def assert_order(element, names):
    found = [names.index(name_of(child)) for child in element]
    assert found == sorted(found)


@pytest.fixture
def service(database):
    levels = [{"severity": "critical", "above": 80}]
    return service_of(database, [rule(above=50, levels=levels)], known=[series(0)])


def feed(service, seconds, value):
    service.process(batch_of([(0, T0 + seconds * 1000, value)]), T0 + seconds * 1000)


def test_later_messages_refer_to_the_first_one(service):
    feed(service, 0, 60.0)
    (alert,) = service.queries.find(AlertFilter())[0]
    number = alert["id"]
    first = check(service.queries.cap(number))
    assert first["msgType"] == "Alert"
    feed(service, 5, 70.0)
    service.tick(T0 + 20_000)  # its worst value has changed: it is the same message still
    assert check(service.queries.cap(number))["identifier"] == first["identifier"]
    feed(service, 30, 90.0)
    rose = check(service.queries.cap(number))
    service.commands.acknowledge(number, "An")
    seen = check(service.queries.cap(number))
    feed(service, 60, 40.0)
    over = check(service.queries.cap(number))
    assert [m["msgType"] for m in (rose, seen, over)] == ["Update", "Update", "Cancel"]
    wanted = f"{first['sender']},{first['identifier']},{first['sent']}"
    assert {m["references"] for m in (rose, seen, over)} == {wanted}
    assert len({m["identifier"] for m in (first, rose, seen)}) == 3
