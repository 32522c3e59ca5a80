"""The ledger of a gateway: stored and missing reports."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query

from cloud_ingest.api.json import Json
from cloud_ingest.api.problems import not_found
from cloud_ingest.api.responses.declaration import declare_response
from cloud_ingest.api.responses.inventory import GatewayLedger
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.database.schema import ledger_gaps
from cloud_ingest.intake.ledger.daily_counts import read_days
from telemetry.ranges import RangeSet

MOST_GAPS = 1000


def router(service: RunningService) -> APIRouter:
    """The endpoint on ``service``."""
    routes = APIRouter(tags=["stations"])

    @routes.get(
        "/gateways/{gateway}/ledger",
        summary="Stored and missing reports, and why they are missing",
        **declare_response(GatewayLedger, 404),
    )
    def ledger(
        gateway: str,
        days: Annotated[int, Query(ge=1, le=3660, description="The number of latest days.")] = 30,
    ) -> Json:
        if service.inventory.gateway(gateway) is None:
            raise not_found("gateway", gateway)
        account = service.ledger.account(gateway)
        stored = RangeSet(account.batches.ranges()) if account else RangeSet([(0, 0)])
        c = ledger_gaps.c
        gaps = sa.select(c.first, c.last, c.reason, c.time_ms).where(c.gateway_id == gateway)
        engine = service.database.engine
        with engine.connect().execution_options(read_only=True) as connection:
            found = connection.execute(gaps.order_by(c.id.desc()).limit(MOST_GAPS)).mappings().all()
            of_days = read_days(connection, gateway, days)
        return Json(
            {
                "gateway": gateway,
                "acknowledges": bool(account and account.known),
                "through": stored.range_end(0) if account and account.known else None,
                "ranges": [list(r) for r in stored.ranges()[1:]],
                "missing": [list(r) for r in stored.gaps(0, stored.highest or 0)],
                "samples_stored": account.samples_stored if account else 0,
                "gaps": [_gap(row) for row in found],
                "days": of_days,
            }
        )

    return routes


def _gap(row: Any) -> dict[str, Any]:
    return {
        "first": row["first"], "last": row["last"], "reason": row["reason"],
        "time_ms": row["time_ms"], "count": max(0, row["last"] - row["first"] + 1),
    }  # fmt: skip
