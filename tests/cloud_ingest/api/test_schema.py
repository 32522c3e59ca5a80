"""The responses of a running service match its published schema, for every endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from cloud_ingest.configuration import CloudConfiguration, in_folder
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.service import Service
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.gateways import Gateway
from tests.servers import free_port, wait_until

HOUR_MS = 3_600_000
SERIES = "bd-tdm-001/air/pm2_5"
RULES = """\
pack: schema
name: {vi: Thử, en: Test}
rules:
  - id: dust
    kind: threshold
    name: {vi: Bụi cao, en: High dust}
    text: {vi: "{station}: {value}", en: "{station}: {value}"}
    select: {quantity: pm2_5}
    above: 100
    legal: {document: QCVN 05, verified: true, source: a table}
"""


@dataclass
class Published:
    """The schema of a service; fields that it does not name are errors."""

    document: dict[str, Any]

    def operations(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        return {
            operation["operationId"]: (method, path, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    def check(self, schema: dict[str, Any], value: Any, what: str) -> None:
        whole = closed(schema | {"components": self.document["components"]})
        wrong = [
            f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
            for e in Draft202012Validator(whole).iter_errors(value)
        ]
        assert wrong == [], what

    def check_answer(self, name: str, answer: httpx.Response) -> None:
        _, _, operation = self.operations()[name]
        what = f"{name}: {answer.status_code} {answer.text[:300]}"
        responses = operation["responses"]
        assert str(answer.status_code) in responses, what
        content = responses[str(answer.status_code)].get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        assert kind in content or not (content or answer.content), f"{what} {kind}"
        if kind.endswith("json"):
            self.check(content[kind]["schema"], answer.json(), what)


def closed(schema: Any) -> Any:
    """The same schema without additional fields in any object."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {key: closed(part) for key, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        shut.setdefault("additionalProperties", False)
    return shut


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("schema")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    configuration = {
        "broker": {"embedded": {"port": free_port()}},
        "store": {"kind": "embedded", "path": "data"},
        "web": {"port": 0},
        "rules": ["./rules.yaml"],
        "notify": [{"name": "nobody", "url": f"json://127.0.0.1:{free_port()}"}],
    }
    made = Service(in_folder(CloudConfiguration.model_validate(configuration), folder))
    made.start()
    now_ms = utc_now_ms()
    for gateway in (
        Gateway(time_ms=now_ms),
        Gateway("bd-bc-001", station="bc", time_ms=now_ms),
    ):
        for message in gateway.births():
            made.inbox.put(message)
        for minutes in range(180, 0, -1):
            t = now_ms - minutes * 60_000
            report = gateway.data(("pm2_5", t, 20.0 + minutes / 10), ("temperature", t, 30.0))
            made.inbox.put(report)
        made.inbox.put(gateway.data(("pm2_5", now_ms, 140.0), ("temperature", now_ms, None)))
    for _ in range(2):
        made.inbox.put(MqttMessage("spBv1.0/x/DDATA/bd-bc-001/air", b"\xff", now_ms))
    for kind in ("NBIRTH", "DDATA"):
        made.inbox.put(MqttMessage(f"spBv1.0/binh-duong/{kind}/bd-new-001/a", b"\xff\xff", now_ms))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def api(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service.address}/api/v1", timeout=20) as client:
        wait_until(lambda: len(items(client, "/alerts")) == 2, what="two alerts")
        wait_until(lambda: items(client, "/quarantine"), what="the quarantine")
        wait_until(lambda: items(client, "/notifications"), what="a message")
        yield client


@pytest.fixture(scope="module")
def published(api: httpx.Client, service: Service) -> Published:
    return Published(httpx.get(f"{service.address}/api/openapi.json").json())


def items(api: httpx.Client, path: str) -> list[dict[str, Any]]:
    return list(api.get(path).json()["items"])


READ = {
    "about": ["/about"],
    "health": ["/health"],
    "metrics": ["/../../metrics"],
    "quantities": ["/quantities"],
    "stations": ["/stations", "/stations?limit=1"],
    "station": ["/stations/tdm"],
    "gateways": ["/gateways?exact=true", "/gateways?limit=1"],
    "one_gateway": ["/gateways/bd-tdm-001"],
    "devices": ["/devices"],
    "one_device": ["/devices/bd-tdm-001/air"],
    "series": ["/series"],
    "one_series": [f"/series/{SERIES}"],
    "ledger": ["/gateways/bd-tdm-001/ledger"],
    "latest": ["/latest"],
    "samples": [
        f"/samples?series={SERIES}",
        f"/samples?series={SERIES}&step=1h&aggregate=max",
        f"/samples?series={SERIES}&step=10m&envelope=true",
        f"/samples?series={SERIES}&series=bd-bc-001/air/pm2_5&max_points=50&envelope=true",
        f"/samples?series={SERIES}&format=csv",
        f"/samples?series={SERIES}&format=lines",
        f"/samples?series={SERIES}&format=xlsx",
        f"/samples?series={SERIES}&format=parquet",
    ],
    "refused": ["/quarantine"],
    "refused_summary": ["/quarantine/summary"],
    "happened": ["/events"],
    "list_alerts": ["/alerts", "/alerts?state=open&limit=1"],
    "list_rules": ["/rules", f"/rules?series={SERIES}"],
    "list_silences": ["/silences", "/silences?active=true"],
    "list_notifications": ["/notifications", "/notifications?channel=nobody&state=waiting,sent"],
    "list_channels": ["/notifications/channels"],
    "report_alerts": [
        "/reports/alerts?since=2026-01-01",
        "/reports/alerts?since=2026-01-01&format=csv&language=en",
        "/reports/alerts?since=2026-01-01&format=xlsx",
    ],
    "get_index": [
        "/index", "/index?station=tdm", "/index?station=tdm&kind=epa_aqi",
        "/index?station=tdm&period=day&kind=vn_aqi",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_read(api: httpx.Client, published: Published, name: str) -> None:
    for path in READ[name]:
        answer = api.get(path.replace("/../..", str(api.base_url)[: -len("/api/v1/")]))
        assert answer.status_code == 200, answer.text
        published.check_answer(name, answer)


STEPS = [
    ("acknowledge", "post", "/alerts/{0}/acknowledge", {"note": "seen"}, 200),
    ("acknowledge", "post", "/alerts/999/acknowledge", None, 404),
    ("acknowledge_several", "post", "/alerts/acknowledge", {"ids": [1, 2, 999]}, 200),
    ("comment", "post", "/alerts/{0}/comment", {"text": "wind"}, 200),
    ("comment", "post", "/alerts/{0}/comment", {"txt": "wind"}, 422),
    ("assign", "post", "/alerts/{0}/assign", {"to": "Bình"}, 200),
    ("silence_alert", "post", "/alerts/{0}/silence", {"reason": "tests"}, 200),
    ("silence_alert", "post", "/alerts/{0}/silence", {"reason": "tests", "end": 5}, 422),
    ("add_silence", "post", "/silences", {"kind": "maintenance", "station": "bc", "reason": "x",
                                          "end": "2030-01-01T00:00:00+07:00"}, 201),
    ("add_silence", "post", "/silences", {"reason": "x", "end": 5}, 422),
    ("list_silences", "get", "/silences", None, 200),
    ("end_silence", "delete", "/silences/1", None, 200),
    ("end_silence", "delete", "/silences/999", None, 404),
    ("resolve", "post", "/alerts/{0}/resolve", None, 200),
    ("acknowledge", "post", "/alerts/{0}/acknowledge", None, 409),
    ("get_alert", "get", "/alerts/{0}", None, 200),
    ("get_alert", "get", "/alerts/999", None, 404),
    ("get_cap", "get", "/alerts/{0}/cap", None, 200),
    ("try_channel", "post", "/notifications/nobody/test", None, 200),
    ("try_channel", "post", "/notifications/none/test", None, 404),
    ("station", "get", "/stations/none", None, 404),
    ("samples", "get", "/samples?series=a/b/c", None, 404),
    ("samples", "get", "/samples", None, 422),
    ("report_alerts", "get", "/reports/alerts?since=9&until=5", None, 400),
    ("list_notifications", "get", "/notifications?cursor=%21", None, 400),
]  # fmt: skip


def test_what_is_done(api: httpx.Client, published: Published) -> None:
    ids = [str(a["id"]) for a in items(api, "/alerts")]
    for name, method, path, body, status in STEPS:
        answer = api.request(method, path.format(*ids), json=body)
        assert answer.status_code == status, f"{path}: {answer.text}"
        published.check_answer(name, answer)


def test_the_quarantine_is_emptied(api: httpx.Client, published: Published) -> None:
    found = items(api, "/quarantine")
    born = next(q for q in found if "NBIRTH" in q["topic"])
    data = next(q for q in found if q["replayable"])
    assert not born["replayable"]
    for name, method, path, status in (
        ("replay", "post", f"/quarantine/{born['id']}/replay", 409),
        ("replay", "post", f"/quarantine/{data['id']}/replay", 202),
        ("forget", "delete", f"/quarantine/{born['id']}", 204),
        ("forget", "delete", f"/quarantine/{born['id']}", 404),
    ):
        answer = api.request(method, path)
        assert answer.status_code == status, answer.text
        published.check_answer(name, answer)


def test_the_stream(api: httpx.Client, published: Published, service: Service) -> None:
    events = published.document["components"]["schemas"]["StreamEvents"]["properties"]
    wanted, seen = {"ready", "samples", "gateway"}, set()
    with api.stream("GET", "/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        gateway = Gateway("bd-live-001", time_ms=utc_now_ms())
        for message in (*gateway.births(), gateway.data(("pm2_5", gateway.time_ms, 1.0))):
            service.inbox.put(message)
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                published.check(events[name], json.loads(line.removeprefix("data: ")), name)
                seen.add(name)
            if seen >= wanted:
                break


def test_every_operation_is_tried_here(published: Published) -> None:
    tried = {*READ, *(name for name, *_ in STEPS), "replay", "forget", "stream"}
    assert set(published.operations()) == tried


def test_every_operation_says_what_it_answers(published: Published) -> None:
    for name, (_, _, operation) in published.operations().items():
        assert operation["tags"], name
        assert operation.get("summary"), name
        good = {s: r for s, r in operation["responses"].items() if s.startswith("2")}
        assert good, name
        assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}
        for status, response in good.items():
            schemas = [c.get("schema") for c in response.get("content", {}).values()]
            assert all(schemas), f"{name} {status}"
            assert schemas or status == "204", f"{name} {status}"


def test_examples_fit_their_schema(published: Published) -> None:
    schemas = published.document["components"]["schemas"]
    found = 0
    for name, schema in schemas.items():
        for example in schema.get("examples", ()):
            published.check({"$ref": f"#/components/schemas/{name}"}, example, name)
            found += 1
    assert found >= 20


def test_the_examples_of_the_documentation_run(api: httpx.Client, service: Service) -> None:
    page = (Path(__file__).parents[3] / "docs/api.md").read_text(encoding="utf-8")
    examples = re.findall(r"```sh\ncurl '([^']+)'\n```\n\n```json\n(.*?)```", page, re.DOTALL)
    assert len(examples) == page.count("```sh") > 0
    for address, shown in examples:
        url = address.replace("http://127.0.0.1:8080", service.address)
        response = api.get(url.replace("bd-tdm-001/pm/pm2_5", SERIES))
        assert response.status_code == 200, response.text
        assert list(response.json()) == list(json.loads(shown))
