"""The HTTP API over parts in memory: responses, filters, pages, problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from cloud_ingest.api import application
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.configuration import CloudConfiguration
from cloud_ingest.database.schema import quarantine
from cloud_ingest.intake.mqtt.host_link import LinkState
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.notification import NotificationWorker
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.gateways import Gateway
from tests.cloud_ingest.test_pipeline import Cloud

NOW_MS = utc_now_ms()


class Connected:
    state = LinkState(connected=True, problem="", since_ms=0)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path)
    for n in range(3):
        gateway = Gateway(name=f"gw-{n}", station=f"st-{n}", time_ms=NOW_MS)
        cloud.feed(*gateway.births())
        for i in range(5):
            t = NOW_MS - 60_000 * (5 - i)
            cloud.feed(gateway.data(("pm2_5", t, 10.0 * n + i), ("temperature", t, 25.0 + i)))
    return cloud


@pytest.fixture
def notification(cloud: Cloud) -> NotificationWorker:
    return NotificationWorker(cloud.database, ())


@pytest.fixture
def api(cloud: Cloud, tmp_path: Path, notification: NotificationWorker) -> TestClient:
    configuration = CloudConfiguration.model_validate(
        {"broker": {"url": "mqtt://127.0.0.1"}, "store": {"kind": "embedded", "path": "data"}}
    )
    service = RunningService(
        configuration, cloud.database, cloud.store, cloud.inventory, cloud.ledger, cloud.quarantine,
        cloud.receiver, cloud.inbox, cloud.pipeline, Connected(), cloud.live, notification, NOW_MS,
        lambda: NOW_MS, lambda: 3,
    )  # fmt: skip
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html><title>Quantrac</title>")
    (page / "app.js").write_text("1")
    return TestClient(application.create(service, page=page), raise_server_exceptions=False)


def items(api: TestClient, path: str) -> list[dict[str, Any]]:
    answer = api.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def test_lists_are_filtered_by_station_gateway_and_quantity(api: TestClient) -> None:
    assert [s["id"] for s in items(api, "stations")] == ["st-0", "st-1", "st-2"]
    assert [g["id"] for g in items(api, "gateways?station=st-1,st-2")] == ["gw-1", "gw-2"]
    assert [d["id"] for d in items(api, "devices?gateway=gw-0")] == ["gw-0/air"]
    found = items(api, "series?quantity=air_temperature&station=st-1")
    assert [s["id"] for s in found] == ["gw-1/air/temperature"]
    assert items(api, "series?quantity=no2") == []


def test_pages_follow_each_other_without_a_gap(api: TestClient) -> None:
    seen, path = [], "series?limit=4"
    while True:
        answer = api.get(f"/api/v1/{path}").json()
        seen += [s["id"] for s in answer["items"]]
        if answer["next"] is None:
            break
        path = f"series?limit=4&cursor={answer['next']}"
    assert seen == sorted(seen)
    assert len(seen) == 6


def test_the_latest_value_of_each_series(api: TestClient) -> None:
    found = items(api, "latest?station=st-2&quantity=pm2_5")
    assert len(found) == 1
    assert found[0]["value"] == 24.0
    assert found[0]["time_ms"] == NOW_MS - 60_000
    assert found[0]["online"] is True


@pytest.mark.parametrize(
    ("start", "count"),
    [
        (str(NOW_MS - 3_600_000), 5),
        (str(NOW_MS - 150_000), 2),
        ("1999-01-01T00:00:00Z", 5),
        ("1999-01-01T00:00:00+07:00", 5),
    ],
    ids=["an hour ago", "150 s ago", "1999 in UTC", "1999 in another zone"],
)
def test_samples_of_a_range(api: TestClient, start: str, count: int) -> None:
    answer = api.get("/api/v1/samples", params={"series": "gw-1/air/pm2_5", "start": start})
    body = answer.json()
    assert list(body) == ["series", "quantity", "unit", "step_ms", "aggregate", "time_ms", "value", "quality"]  # fmt: skip
    assert len(body["time_ms"]) == len(body["value"]) == len(body["quality"]) == count


def test_samples_as_a_file(api: TestClient) -> None:
    answer = api.get("/api/v1/samples?series=gw-1/air/pm2_5&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text.count("gw-1") == 5


def test_samples_by_steps_with_their_envelope(api: TestClient) -> None:
    path = "/api/v1/samples?series=gw-1/air/pm2_5&step=10m&envelope=true"
    body = api.get(path).json()
    assert body["step_ms"] == 600_000
    assert set(body) >= {"min", "max", "count"}
    both = api.get("/api/v1/samples?series=gw-1/air/pm2_5&series=gw-2/air/pm2_5&max_points=100")
    assert [s["series"] for s in both.json()["items"]] == ["gw-1/air/pm2_5", "gw-2/air/pm2_5"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("samples", 422),
        ("samples?series=nothing", 400),
        ("samples?series=a/b/c", 404),
        ("samples?series=gw-1/air/pm2_5&start=yesterday", 400),
        ("samples?series=gw-1/air/pm2_5&step=soon", 400),
        ("samples?series=gw-1/air/pm2_5&start=10&end=5", 400),
        ("series?cursor=%21%21", 400),
        ("series?limit=0", 422),
        ("gateways/none", 404),
        ("devices/gw-1/none", 404),
        ("none", 404),
    ],
)
def test_errors_are_problem_documents(api: TestClient, path: str, status: int) -> None:
    answer = api.get(f"/api/v1/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]


def test_a_store_that_is_down_is_a_503(api: TestClient, cloud: Cloud) -> None:
    cloud.store.down = True
    assert api.get("/api/v1/latest").status_code == 503
    health = api.get("/api/v1/health")
    assert health.status_code == 503
    assert health.json()["checks"]["store"] == {
        "ok": False,
        "detail": "it is down",
        "kind": "embedded",
    }


def test_a_notification_worker_that_fails_is_a_503(
    api: TestClient, notification: NotificationWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.get("/api/v1/health").json()["checks"]["notification"] == {"ok": True, "detail": ""}
    monkeypatch.setattr(NotificationWorker, "problem", "the notification worker is not running")
    health = api.get("/api/v1/health")
    assert health.status_code == 503
    assert health.json()["checks"]["notification"]["detail"] == notification.problem


def test_the_quarantine_is_listed_newest_first(api: TestClient, cloud: Cloud) -> None:
    for n in range(3):
        cloud.feed(MqttMessage(f"spBv1.0/g/DDATA/x{n}", b"abc", NOW_MS))
    found = items(api, "quarantine?limit=2")
    assert [f["topic"] for f in found] == ["spBv1.0/g/DDATA/x2", "spBv1.0/g/DDATA/x1"]
    assert api.get("/api/v1/quarantine/summary").json()["total"] == 3


def test_the_ledger_says_what_is_here_and_what_is_missing(api: TestClient, cloud: Cloud) -> None:
    gateway = Gateway(name="gw-9", time_ms=NOW_MS)
    cloud.feed(gateway.node_birth(**{"Store/Measured": (7, 8)}), gateway.device_birth())
    cloud.feed(gateway.data(("pm2_5", NOW_MS, 1.0), batch=1))
    cloud.feed(gateway.data(("pm2_5", NOW_MS - 86_400_000, 2.0), batch=4))
    cloud.feed(gateway.node_data(**{"Store/Measured": (9, 8), "Store/Given Up": (2, 8)}))
    answer = api.get("/api/v1/gateways/gw-9/ledger")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["through"], body["ranges"], body["missing"]) == (1, [[4, 4]], [[2, 3]])
    today, yesterday = body["days"]
    assert {k: today[k] for k in ("measured", "stored", "late", "given_up")} == {
        "measured": 9, "stored": 1, "late": 0, "given_up": 2,
    }  # fmt: skip
    assert (yesterday["stored"], yesterday["late"]) == (1, 1)
    gateway.oldest = 3
    cloud.feed(*gateway.births())
    gaps = api.get("/api/v1/gateways/gw-9/ledger").json()["gaps"]
    assert [(g["first"], g["last"], g["count"]) for g in gaps] == [(2, 2, 1)]
    assert api.get("/api/v1/gateways/none/ledger").status_code == 404


def test_what_was_put_aside_can_be_taken_in_again_after_a_fix(
    api: TestClient, cloud: Cloud
) -> None:
    t = NOW_MS
    gateway = Gateway(
        name="plc", metrics={"t": ("air_temperature", "warm")}, acknowledged=False, time_ms=t
    )
    cloud.feed(*gateway.births(), gateway.data(("t", t, 300.0)))
    item = items(api, "quarantine?gateway=plc")[0]
    assert "unknown unit" in item["reason"]
    gateway.metrics = {"t": ("air_temperature", "K")}
    cloud.feed(*gateway.births())
    assert api.post(f"/api/v1/quarantine/{item['id']}/replay").status_code == 202
    cloud.feed()
    assert cloud.value("plc/air/t", t) == (pytest.approx(26.85), 1)
    assert items(api, "quarantine?gateway=plc") == []
    assert api.post(f"/api/v1/quarantine/{item['id']}/replay").status_code == 404


def test_what_is_replayed_leaves_the_quarantine_only_when_it_is_committed(
    api: TestClient, cloud: Cloud
) -> None:
    cloud.feed(MqttMessage("spBv1.0/g/DDATA/x/d", b"abc", NOW_MS))
    [item] = items(api, "quarantine")
    assert api.post(f"/api/v1/quarantine/{item['id']}/replay").status_code == 202
    assert items(api, "quarantine") == []
    assert api.post(f"/api/v1/quarantine/{item['id']}/replay").status_code == 404
    rows = sa.select(quarantine.c.id)
    with cloud.database.engine.connect() as connection:  # what is left if the service dies now
        assert connection.execute(rows).scalars().all() == [item["id"]]
    cloud.feed()
    [again] = items(api, "quarantine")
    assert again["id"] > item["id"]
    with cloud.database.engine.connect() as connection:
        assert connection.execute(rows).scalars().all() == [again["id"]]


def test_what_is_replayed_into_a_full_queue_stays_in_quarantine(
    api: TestClient, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.feed(MqttMessage("spBv1.0/g/DDATA/x/d", b"abc", NOW_MS))
    [item] = items(api, "quarantine")
    monkeypatch.setattr(cloud.inbox, "_max_bytes", 0)
    refused = api.post(f"/api/v1/quarantine/{item['id']}/replay")
    assert (refused.status_code, refused.json()["title"]) == (503, "Intake is full")
    assert items(api, "quarantine") == [item]
    monkeypatch.undo()
    assert api.post(f"/api/v1/quarantine/{item['id']}/replay").status_code == 202
    assert items(api, "quarantine") == []


def test_messages_are_replayed_without_upsetting_the_session(api: TestClient, cloud: Cloud) -> None:
    gateway = Gateway(name="gw-7", time_ms=NOW_MS)
    cloud.feed(*gateway.births())
    lost = gateway.data(("pm2_5", NOW_MS, 1.0))
    cloud.feed(MqttMessage("spBv1.0/x/DDATA/gw-7/air", lost.payload, NOW_MS))  # the wrong group
    cloud.feed(MqttMessage("spBv1.0/binh-duong/NBIRTH/gw-7", b"rubbish", NOW_MS))
    birth, data = items(api, "quarantine?gateway=gw-7")
    assert api.post(f"/api/v1/quarantine/{birth['id']}/replay").status_code == 409
    assert api.delete(f"/api/v1/quarantine/{birth['id']}").status_code == 204
    assert api.post(f"/api/v1/quarantine/{data['id']}/replay").status_code == 202
    cloud.feed()
    assert [q["reason"] for q in items(api, "quarantine?gateway=gw-7")] == [data["reason"]]
    found = cloud.inventory.gateway("gw-7")
    assert found is not None
    assert found.sequence_gaps == 0


def test_metrics_are_prometheus_text(api: TestClient) -> None:
    text = api.get("/metrics").text
    assert "quantrac_samples_total 30.0" in text
    assert "quantrac_findings_lost_total 3.0" in text
    assert "quantrac_gateways_online 3.0" in text


def test_the_description_needs_nothing_from_elsewhere(api: TestClient) -> None:
    page = api.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/api/v1/samples" in page.text
    assert "https://" not in page.text
    as_json = api.get("/api/docs", headers={"accept": "application/json"}).json()
    assert as_json["openapi"].startswith("3.")


def test_the_page_is_served_and_nothing_outside_it(api: TestClient, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    assert "Quantrac" in api.get("/").text
    assert "Quantrac" in api.get("/alerts/17").text
    assert api.get("/app.js").text == "1"
    assert api.head("/").status_code == 200
    for path in ("/..%2fsecret.txt", "/%2e%2e/secret.txt", "//etc/passwd"):
        assert "secret" not in api.get(path).text
        assert "root:" not in api.get(path).text
