"""Server-sent events: stored samples, alerts, and changes of gateways and devices."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from cloud_ingest.api.filters import Several, names_in
from cloud_ingest.api.responses.samples import StreamEvents
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.live import Subscriber, SubscriptionFilter

KEEP_ALIVE_S = 15.0


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


def router(service: RunningService) -> APIRouter:
    """The endpoint on ``service``."""
    routes = APIRouter(tags=["live"])

    @routes.get(
        "/stream",
        summary="Server-sent events: samples, alerts, gateways, devices",
        response_class=EventStream,
        responses={
            200: {"model": StreamEvents, "description": "Events as they happen, until closed"}
        },
    )
    async def stream(
        request: Request,
        station: Several = None,
        gateway: Several = None,
        quantity: Several = None,
        series: Several = None,
    ) -> EventStream:
        filter_ = SubscriptionFilter(
            names_in(station), names_in(gateway), names_in(quantity), names_in(series)
        )
        subscriber = service.live.subscribe(filter_)
        return EventStream(
            _events(service, subscriber, request),
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return routes


async def _events(
    service: RunningService, subscriber: Subscriber, request: Request
) -> AsyncIterator[bytes]:
    try:
        yield _event("ready", {"time_ms": service.now_ms()})
        while not subscriber.ended:
            messages = await subscriber.take(KEEP_ALIVE_S)
            if await request.is_disconnected():
                return
            yield b"".join(_event(name, data) for name, data in messages) or b": still here\n\n"
    finally:
        service.live.unsubscribe(subscriber)


def _event(name: str, data: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
