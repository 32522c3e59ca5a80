"""What people do: over the API, recorded with who did it."""

from xml.etree import ElementTree as ET

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from cloud_ingest.alerts.operations.cap import NAMESPACE
from cloud_ingest.api import problems
from cloud_ingest.api.routes.alerts import router
from tests.cloud_ingest.alerts.parts import T0, batch_of, rule, series, service_of


@pytest.fixture
def service(database):
    legal = {"document": "QCVN 05:2023/BTNMT", "verified": True, "source": "x"}
    rules = [rule(id="a", above=50, legal=legal), rule("mean", id="b", window="1h", above=70),
             rule(id="c", below=5, enabled=False)]  # fmt: skip
    known = [series(0), series(1, "e"), series(2, "f", station="t")]
    found = service_of(database, rules, known=known)
    found.process(batch_of([(i, T0 + i, 60.0) for i in range(3)]), T0 + 5)
    return found


@pytest.fixture
def client(service):
    app = FastAPI()
    problems.install(app)

    @app.middleware("http")
    async def who(request: Request, call_next):
        request.state.user = "An"
        return await call_next(request)

    app.include_router(router(service), prefix="/api/v1")
    return TestClient(app)


def test_lists_are_paged_and_filtered(client):
    first = client.get("/api/v1/alerts?limit=2").json()
    assert [a["series"] for a in first["items"]] == ["g/f/pm2_5", "g/e/pm2_5"]
    rest = client.get("/api/v1/alerts", params={"limit": 2, "cursor": first["next"]}).json()
    assert ([a["station"] for a in rest["items"]], rest["next"]) == (["s"], None)
    assert len(client.get("/api/v1/alerts?station=t").json()["items"]) == 1
    assert len(client.get("/api/v1/alerts?state=open").json()["items"]) == 3
    assert client.get("/api/v1/alerts?state=resolved,pending").json()["items"] == []
    assert client.get("/api/v1/alerts?rule=test/b").json()["items"] == []
    assert client.get("/api/v1/alerts?cursor=rubbish").status_code == 400


def test_open_alerts_are_listed_whatever_the_time_range(client):
    assert len(client.get("/api/v1/alerts?since=2030-01-01T00:00:00%2B07:00").json()["items"]) == 3
    by_id = client.get("/api/v1/alerts").json()["items"][-1]["id"]
    client.post(f"/api/v1/alerts/{by_id}/resolve")
    assert len(client.get("/api/v1/alerts?since=2030-01-01T00:00:00Z").json()["items"]) == 2
    assert client.get("/api/v1/alerts?since=soon").status_code == 422


def test_the_four_steps_are_recorded_with_who_took_them(client, service):
    told = []
    service.on_event = told.append
    number = client.get("/api/v1/alerts?station=t").json()["items"][0]["id"]
    url = f"/api/v1/alerts/{number}"
    assert (
        client.post(f"{url}/acknowledge", json={"note": "seen"}).json()["state"] == "acknowledged"
    )
    assert client.post(f"{url}/acknowledge").json()["state"] == "acknowledged"  # twice is once
    client.post(f"{url}/comment", json={"text": "wind from the works"})
    assert client.post(f"{url}/assign", json={"to": "Bình"}).json()["assignee"] == "Bình"
    shown = client.post(f"{url}/resolve", json={"note": "over"}).json()
    assert shown["state"] == "resolved"
    assert [(h["kind"], h["by"], h["text"]) for h in shown["history"][1:]] == [
        ("acknowledged", "An", "seen"),
        ("commented", "An", "wind from the works"),
        ("assigned", "An", "Bình"),
        ("resolved", "An", "over"),
    ]
    assert [e.kind for e in told] == ["acknowledged", "commented", "assigned", "resolved"]
    assert client.post(f"{url}/acknowledge").status_code == 409
    assert client.post("/api/v1/alerts/999999/resolve").status_code == 404
    assert client.post(f"{url}/comment", json={"text": ""}).status_code == 422


def test_a_silence_has_a_reason_an_end_and_a_record(client, service):
    number = client.get("/api/v1/alerts?station=t").json()["items"][0]["id"]
    made = client.post(f"/api/v1/alerts/{number}/silence", json={"reason": "works"}).json()
    assert (made["until_resolved"], made["created_by"]) == (number, "An")
    assert client.get(f"/api/v1/alerts/{number}").json()["silenced"] is True
    client.post(f"/api/v1/alerts/{number}/resolve")
    assert client.get("/api/v1/silences?active=true").json()["items"] == []
    assert client.post("/api/v1/silences", json={"station": "s"}).status_code == 422
    body = {
        "station": "s",
        "kind": "maintenance",
        "reason": "filter",
        "end": "2099-01-01T00:00:00Z",
    }
    span = client.post("/api/v1/silences", json=body).json()
    assert service.queries.marked_spans()[0].station == "s"
    (alert,) = service.process(batch_of([(1, T0 + 9000, 40.0)]), T0 + 9000)
    assert alert.kind == "resolved"
    ended = client.delete(f"/api/v1/silences/{span['id']}").json()
    assert ended["ended_by"] == "An"
    assert client.delete("/api/v1/silences/999999").status_code == 404


def test_rules_say_which_limits_apply_to_a_series(client):
    items = client.get("/api/v1/rules?series=g/d/pm2_5").json()["items"]
    assert [i["rule"] for i in items] == ["test/a", "test/b", "test/c"]
    assert items[0]["limits"][0]["value"] == 50
    assert items[0]["limits"][0]["label"] == {"vi": "Thử: 50 µg/m³", "en": "Test: 50 µg/m³"}
    assert items[0]["legal"]["document"] == "QCVN 05:2023/BTNMT"
    assert items[1]["averaging"] == "1h"
    assert items[2]["enabled"] is False
    assert client.get("/api/v1/rules?station=nowhere").json()["items"] == []


def test_every_alert_has_a_cap_document(client):
    number = client.get("/api/v1/alerts").json()["items"][0]["id"]
    reply = client.get(f"/api/v1/alerts/{number}/cap")
    assert reply.headers["content-type"].startswith("application/cap+xml")
    root = ET.fromstring(reply.content)
    assert root.tag == f"{{{NAMESPACE}}}alert"
    names = [child.tag.split("}")[1] for child in root]
    assert names[:6] == ["identifier", "sender", "sent", "status", "msgType", "scope"]
    infos = root.findall(f"{{{NAMESPACE}}}info")
    assert [i.findtext(f"{{{NAMESPACE}}}language") for i in infos] == ["vi-VN", "en-US"]
    assert root.findtext(f"{{{NAMESPACE}}}msgType") == "Alert"
    client.post(f"/api/v1/alerts/{number}/resolve")
    over = ET.fromstring(client.get(f"/api/v1/alerts/{number}/cap").content)
    assert over.findtext(f"{{{NAMESPACE}}}msgType") == "Cancel"
    assert over.findtext(f"{{{NAMESPACE}}}references")
