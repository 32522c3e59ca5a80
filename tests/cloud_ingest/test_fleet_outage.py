"""A whole fleet goes offline at once: the work in the database grows as the fleet does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from alert_rules import load_rules
from cloud_ingest.database import Database
from cloud_ingest.partition import DEFAULT_PARTITION
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.alerts.parts import service_of
from tests.cloud_ingest.gateways import Gateway
from tests.cloud_ingest.test_pipeline import Cloud

OUTAGE_MS = 600_000


@contextmanager
def counted(database: Database) -> Iterator[list[int]]:
    """Counts the statements inside; one that is executed for many rows counts for each row."""
    count = [0]

    def note(*args: Any) -> None:
        _connection, _cursor, _statement, parameters, _context, many = args
        count[0] += len(parameters) if many else 1

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield count
    sa.event.remove(database.engine, "before_cursor_execute", note)


def statements_of_an_outage(folder: Path, gateways: int) -> tuple[int, int]:
    """Statements while all gateways of a fleet die and the rules notice, and the alerts raised."""
    folder.mkdir()
    cloud = Cloud(folder)
    t = utc_now_ms()
    rules = load_rules(["library/demo"])
    alerts = service_of(cloud.database, rules, known=(), now_ms=t)
    partitions = cloud.pipeline.partitions
    partitions[DEFAULT_PARTITION] = replace(partitions[DEFAULT_PARTITION], alerts=alerts)
    fleet = [Gateway(name=f"g{i:04d}", station=f"s{i}", time_ms=t) for i in range(gateways)]
    for gateway in fleet:
        for message in (*gateway.births(), gateway.data(("pm2_5", t, 1.0))):
            cloud.inbox.put(message)
    cloud.feed()
    with counted(cloud.database) as count:
        cloud.feed(*(gateway.death() for gateway in fleet))
        cloud.pipeline._tick(t + OUTAGE_MS)
    with cloud.database.engine.connect() as connection:
        raised = connection.execute(sa.text("SELECT count(*) FROM alerts")).scalar_one()
    cloud.database.close()
    return count[0], int(raised)


def test_statements_of_an_outage_grow_no_faster_than_the_fleet(tmp_path: Path) -> None:
    half, of_half = statements_of_an_outage(tmp_path / "half", 500)
    whole, of_whole = statements_of_an_outage(tmp_path / "whole", 1_000)
    assert (of_half, of_whole) == (500, 1_000)
    assert whole <= 2.2 * half
