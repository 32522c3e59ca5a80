"""The HTTP application: the API under /api/v1, its documentation, /metrics, and the web page."""

from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.middleware.gzip import GZipMiddleware

from cloud_ingest.api import openapi, problems
from cloud_ingest.api.json import Json
from cloud_ingest.api.problems import Problem
from cloud_ingest.api.reference_page import page_of
from cloud_ingest.api.routes import (
    alert_reports,
    inventory,
    ledgers,
    notifications,
    operation,
    samples,
    stream,
)
from cloud_ingest.api.running_service import RunningService
from quantrac import __version__

PREFIX = "/api/v1"
PAGE = Path(__file__).parents[1] / "web" / "static"


def create(
    service: RunningService, routers: Sequence[APIRouter] = (), page: Path = PAGE
) -> FastAPI:
    """The application over ``service``, with more ``routers`` under the prefix of the API."""
    app = FastAPI(
        title="Quantrac",
        version=__version__,
        summary="Monitoring of environmental and traffic sensors",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.name_of,
    )
    problems.install(app)
    openapi.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=3)
    own = [m.router(service) for m in (operation, inventory, ledgers, samples, stream)]
    own += [notifications.log_router(service), alert_reports.router(service)]
    for router in (*own, *routers):
        app.include_router(router, prefix=PREFIX)
    app.include_router(operation.metrics_router(service))
    _serve_reference(app)
    _serve_page(app, page)
    return app


def _serve_reference(app: FastAPI) -> None:
    @app.api_route("/api/docs", methods=["GET", "HEAD"], include_in_schema=False)
    def docs(request: Request) -> Response:
        """The reference page, or OpenAPI as JSON for clients that accept only JSON."""
        if "html" not in request.headers.get("accept", "*/*") and "json" in request.headers.get(
            "accept", ""
        ):
            return Json(app.openapi())
        return HTMLResponse(page_of(app.openapi()))


def _serve_page(app: FastAPI, folder: Path) -> None:
    @app.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    def page(path: str) -> Response:
        if path.startswith("api/"):
            raise Problem(404, "No such endpoint", f"There is no /{path}; see /api/docs.")
        file = (folder / path).resolve()
        if path and file.is_relative_to(folder.resolve()) and file.is_file():
            return FileResponse(file)
        index = folder / "index.html"
        if not index.is_file():
            return HTMLResponse(
                "<!doctype html><title>Quantrac</title><p>The web page is not built here. "
                'The API: <a href="/api/docs">/api/docs</a>'
            )
        return FileResponse(index, headers={"Cache-Control": "no-cache"})
