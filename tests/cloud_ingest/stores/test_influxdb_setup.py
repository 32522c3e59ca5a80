"""Buckets and tokens of InfluxDB 2.x: the requests, and their effect if a server is configured."""

import os
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from cloud_ingest.stores.influxdb.client import Access, InfluxClient, NotThere
from cloud_ingest.stores.influxdb.setup import Bucket, make_token, set_up
from cloud_ingest.stores.protocol import StoreError
from tests.cloud_ingest.stores.conftest import URL

ORG = "Sở TN&MT + co #1"


class Server(InfluxClient):
    """Responds as 2.7 does: lists are paged, empty retention rules change nothing, 404 if not found."""

    def __init__(self, org: str, may_see_org: bool = True) -> None:
        super().__init__(Access("http://127.0.0.1:1"))
        self._version = "2.7.12"
        self._org = org
        self._may_see_org = may_see_org
        self.buckets: dict[str, int] = {}
        self.granted: list[str] = []

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        place = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(place.query).items()}
        assert not place.fragment
        if place.path == "/api/v2/orgs":
            if asked.get("org", self._org) != self._org:
                raise NotThere("organization name not found")
            return {"orgs": [{"id": "0a"}] if self._may_see_org else []}
        if place.path == "/api/v2/authorizations":
            assert body
            self.granted = [p["resource"]["id"] for p in body["permissions"]]
            return {"token": "made"}
        if method == "GET":
            names = [n for n in sorted(self.buckets) if asked.get("name", n) == n]
            if "name" in asked and not names:
                raise NotThere("bucket not found")
            return {"buckets": [{"id": n, "name": n} for n in names[: int(asked.get("limit", 20))]]}
        assert body
        name = body["name"] if method == "POST" else place.path.rsplit("/", 1)[1]
        for rule in body["retentionRules"]:
            self.buckets[name] = rule["everySeconds"]
        self.buckets.setdefault(name, 0)
        return None


def test_names_with_special_characters_reach_the_server_as_they_are() -> None:
    server = Server(ORG)
    wanted = [Bucket("kho & dữ liệu+1", 30)]
    for _ in range(2):
        set_up(server, ORG, wanted)
    assert server.buckets == {"kho & dữ liệu+1": 30 * 86_400}
    assert make_token(server, ORG, wanted) == "made"
    assert server.granted == ["kho & dữ liệu+1"] * 2


def test_a_retention_is_taken_back() -> None:
    server = Server("test")
    set_up(server, "test", [Bucket("quantrac", 30)])
    set_up(server, "test", [Bucket("quantrac", None)], change=True)
    assert server.buckets == {"quantrac": 0}


def test_a_token_is_for_all_its_buckets_among_hundreds() -> None:
    server = Server("test")
    server.buckets = {f"other-{i}": 0 for i in range(300)} | {"quantrac": 0, "quantrac_1m": 0}
    make_token(server, "test", [Bucket("quantrac", None), Bucket("quantrac_1m", None)])
    assert server.granted == ["quantrac", "quantrac", "quantrac_1m", "quantrac_1m"]


@pytest.mark.parametrize(("org", "may_see"), [("another", True), ("test", False), (None, False)])
def test_an_organisation_that_is_not_there_or_not_shown_is_said(
    org: str | None, may_see: bool
) -> None:
    server = Server("test", may_see)
    for attempt in (set_up, make_token):
        with pytest.raises(StoreError, match=r"no organisation .* that this token may see"):
            attempt(server, org, [Bucket("quantrac", None)])


@pytest.fixture
def real() -> Iterator[InfluxClient]:
    """A server of version 2 that the environment names."""
    if not os.environ.get(URL):
        pytest.skip(f"{URL} names no InfluxDB 2.x")
    made = InfluxClient(Access(os.environ[URL], token=os.environ["QUANTRAC_TEST_INFLUX_TOKEN"]))
    if made.major != 2:
        pytest.skip("not a server of version 2")
    yield made
    made.close()


def test_a_server_takes_such_names_and_retentions(real: InfluxClient) -> None:
    org = f"{ORG} {uuid.uuid4().hex[:8]}"
    real.call("POST", "/api/v2/orgs", {"name": org})
    name = "kho & dữ liệu+1"
    set_up(real, org, [Bucket(name, 30)])
    set_up(real, org, [Bucket(name, None)], change=True)
    org_id = real.call("GET", f"/api/v2/orgs?org={quote(org)}")["orgs"][0]["id"]
    found = real.call("GET", f"/api/v2/buckets?orgID={org_id}&name={quote(name)}")["buckets"]
    assert [sum(r["everySeconds"] for r in b["retentionRules"]) for b in found] == [0]
    token = make_token(real, org, [Bucket(name, None)])
    own = InfluxClient(Access(os.environ[URL], token=token, org=org))
    own.write(name, b"pm2_5,device=d value=1 1767225600000")
    assert own.query(name, "SELECT * FROM pm2_5")[0]
    own.close()
