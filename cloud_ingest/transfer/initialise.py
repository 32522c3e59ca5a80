"""The first set-up of a store: its folder, or databases, buckets and a token on a server."""

import os
from dataclasses import dataclass
from pathlib import Path

from cloud_ingest.stores import StoreConfiguration, open_store
from cloud_ingest.stores.influxdb.client import InfluxClient
from cloud_ingest.stores.influxdb.setup import buckets_of, make_token, set_up
from cloud_ingest.stores.influxdb.store import access_of


@dataclass(frozen=True, slots=True)
class Initialised:
    """A line of text about each step, and the new token."""

    lines: tuple[str, ...]
    token: str | None = None


def initialise_store(
    configuration: StoreConfiguration, admin_token_file: Path | None, with_token: bool
) -> Initialised:
    """Set up the store, which may exist already. Raises StoreError if the server refuses."""
    if configuration.kind == "embedded":
        open_store(configuration).close()
        return Initialised((f"folder {configuration.path}: ready",))
    if admin_token_file is not None:
        configuration = configuration.model_copy(update={"token_file": admin_token_file})
    client = InfluxClient(access_of(configuration))
    try:
        buckets = buckets_of(configuration.bucket, configuration.keep)
        lines = set_up(client, configuration.org, buckets, change=True)
        token = make_token(client, configuration.org, buckets) if with_token else None
        return Initialised((f"InfluxDB {client.version}", *lines), token)
    finally:
        client.close()


def keep_secret(path: Path, text: str) -> None:
    """Write a file that only this user may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
