"""Setting up InfluxDB: databases or buckets with their retention, and a token restricted to them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cloud_ingest.stores.configuration import KeepConfiguration
from cloud_ingest.stores.influxdb.client import InfluxClient, NotThere
from cloud_ingest.stores.influxdb.line_protocol import quoted_identifier
from cloud_ingest.stores.protocol import Resolution, StoreError

SUFFIX: dict[Resolution, str] = {"raw": "", "minute": "_1m", "hour": "_1h", "day": "_1d"}
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Bucket:
    """A database (1.x, 3.x) or bucket (2.x) with its retention; None keeps samples for ever."""

    name: str
    keep_days: int | None


def buckets_of(name: str, keep: KeepConfiguration) -> list[Bucket]:
    """The buckets of a store: one for each resolution."""
    days: dict[Resolution, int | None] = {
        "raw": keep.raw_days,
        "minute": keep.minute_days,
        "hour": keep.hour_days,
        "day": keep.day_days,
    }
    return [Bucket(name + suffix, days[resolution]) for resolution, suffix in SUFFIX.items()]


def set_up(
    client: InfluxClient, org: str | None, buckets: list[Bucket], change: bool = False
) -> list[str]:
    """Create missing buckets; returns a line of text about each bucket.

    ``change`` also sets the retention of existing ones, which may delete older samples.
    """
    if client.major == 1:
        return _set_up_1(client, buckets, change)
    if client.major == 2:
        return [_set_up_2(client, org, b, change) for b in buckets]
    return _set_up_3(client, buckets)


def _kept(bucket: Bucket) -> str:
    return "for ever" if bucket.keep_days is None else f"{bucket.keep_days} days"


def _set_up_1(client: InfluxClient, buckets: list[Bucket], change: bool) -> list[str]:
    [answer] = client.query(None, "SHOW DATABASES")
    there = {row[0] for part in answer for row in part.get("values", [])}
    done = []
    for bucket in buckets:
        if bucket.name in there and not change:
            done.append(f"database {bucket.name}: is there")
            continue
        name = quoted_identifier(bucket.name)
        duration = "INF" if bucket.keep_days is None else f"{bucket.keep_days}d"
        # Retention deletes whole shards.
        shard = "1d" if bucket.keep_days is not None and bucket.keep_days <= 90 else "7d"
        client.query(None, f"CREATE DATABASE {name}")
        client.query(
            None,
            f'ALTER RETENTION POLICY "autogen" ON {name} '
            f"DURATION {duration} SHARD DURATION {shard} DEFAULT",
        )
        done.append(f"database {bucket.name}: kept {_kept(bucket)}")
    return done


def _set_up_2(client: InfluxClient, org: str | None, bucket: Bucket, change: bool) -> str:
    org_id = _org_id(client, org)
    # 0 keeps for ever; without a rule, an existing bucket would keep its retention.
    seconds = 0 if bucket.keep_days is None else bucket.keep_days * DAY_S
    rules = [{"type": "expire", "everySeconds": seconds}]
    there = _find_bucket(client, org_id, bucket.name)
    if there is not None and not change:
        return f"bucket {bucket.name}: is there"
    if there is not None:
        client.call("PATCH", f"/api/v2/buckets/{there['id']}", {"retentionRules": rules})
    else:
        body = {"orgID": org_id, "name": bucket.name, "retentionRules": rules}
        client.call("POST", "/api/v2/buckets", body)
    return f"bucket {bucket.name}: kept {_kept(bucket)}"


def _org_id(client: InfluxClient, org: str | None) -> str:
    try:
        found = client.call("GET", "/api/v2/orgs?" + urlencode({"org": org or ""}))["orgs"]
    except NotThere:
        found = []
    if not found:
        raise StoreError(
            f"the server has no organisation {org!r} that this token may see; "
            "see store.org in cloud.yaml"
        )
    return str(found[0]["id"])


def _find_bucket(client: InfluxClient, org_id: str, name: str) -> dict[str, Any] | None:
    """The bucket of this name. Requested by name, since lists are paged."""
    try:
        path = "/api/v2/buckets?" + urlencode({"orgID": org_id, "name": name})
        found: list[dict[str, Any]] = client.call("GET", path)["buckets"]
    except NotThere:
        return None
    return found[0] if found else None


def _set_up_3(client: InfluxClient, buckets: list[Bucket]) -> list[str]:
    listed = client.call("GET", "/api/v3/configure/database?format=json")
    there = {d["iox::database"] for d in listed}
    done = []
    for bucket in buckets:
        if bucket.name in there:
            done.append(f"database {bucket.name}: is there")
            continue
        body: dict[str, object] = {"db": bucket.name}
        if bucket.keep_days is not None:
            body["retention_period"] = f"{bucket.keep_days}d"
        client.call("POST", "/api/v3/configure/database", body)
        done.append(f"database {bucket.name}: kept {_kept(bucket)}")
    return done


def make_token(client: InfluxClient, org: str | None, buckets: list[Bucket]) -> str:
    """Create a token that can only read and write these buckets (2.x only)."""
    if client.major != 2:
        raise StoreError("tokens for single databases are made by InfluxDB 2 only")
    org_id = _org_id(client, org)
    found = [_find_bucket(client, org_id, b.name) for b in buckets]
    permissions = [
        {"action": action, "resource": {"type": "buckets", "id": b["id"], "orgID": org_id}}
        for b in found
        if b is not None
        for action in ("read", "write")
    ]
    body = {"orgID": org_id, "description": "Quantrac", "permissions": permissions}
    return str(client.call("POST", "/api/v2/authorizations", body)["token"])
