"""The cloud service: creates all parts, starts them in order, and stops them in order."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI

from alert_rules import load_rules
from cloud_ingest.alerts import AlertService
from cloud_ingest.api import application
from cloud_ingest.api.responses.inventory_json import json_of_device, json_of_gateway
from cloud_ingest.api.routes import alerts as alerts_api
from cloud_ingest.api.routes import index
from cloud_ingest.api.running_service import RunningService
from cloud_ingest.configuration import CloudConfiguration
from cloud_ingest.database import Database
from cloud_ingest.detection import LayeredDetector
from cloud_ingest.indices.derived import DerivedIndices, DerivedSample
from cloud_ingest.intake.ledger.ledger import Ledger
from cloud_ingest.intake.mappings import load_mappings
from cloud_ingest.intake.mqtt.embedded_broker import EmbeddedBroker
from cloud_ingest.intake.mqtt.host_link import HostLink
from cloud_ingest.intake.mqtt.inbox import Inbox
from cloud_ingest.intake.mqtt.overflow_file import OverflowFile
from cloud_ingest.intake.mqtt.shard import Shard
from cloud_ingest.intake.quarantine import Quarantine
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.inventory.tags import Tags
from cloud_ingest.live import LiveUpdates
from cloud_ingest.notification import NotificationWorker, channels
from cloud_ingest.partition import Partition
from cloud_ingest.pipeline import Pipeline
from cloud_ingest.pipeline_dependencies import PipelineDependencies
from cloud_ingest.quality import QualityControl
from cloud_ingest.stores.configuration import StoreConfiguration
from cloud_ingest.stores.opening import open_store
from cloud_ingest.stores.protocol import SampleStore
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger()


class ServiceFailed(Exception):  # noqa: N818  # named by what went wrong
    """The service cannot start; the message says why."""


@dataclass(slots=True)
class _Running:
    server: uvicorn.Server
    thread: threading.Thread


class Service:
    """Ingest, rules, API and web page in one process.

    ``store`` may be given (tests do); otherwise the configured one is opened. ``shard``: one of
    several workers, each with its own gateways and its own part of the database.
    """

    def __init__(
        self,
        configuration: CloudConfiguration,
        store: SampleStore | None = None,
        shard: Shard | None = None,
    ) -> None:
        shard = shard or Shard()
        self.configuration = configuration
        # What the files say is read before anything is opened: a mistake leaves nothing behind.
        rules = load_rules(configuration.rules, configuration.folder)
        mappings = load_mappings(configuration.intake.mappings)
        notify = channels(configuration.notify)
        self.database = Database(configuration.database, shard.name)
        self.database.migrate()
        self.store = store if store is not None else open_store(_store_of(configuration, shard))
        self.inventory = Inventory(self.database)
        self.ledger = Ledger(self.database)
        self.quarantine = Quarantine(self.database)
        intake = configuration.intake
        folder = (
            configuration.folder if configuration.store.path is None else configuration.store.path
        )
        self.overflow = OverflowFile(folder / f"inbox{shard.name}.spill", intake.spill_bytes)
        self.inbox = Inbox(intake.queue_bytes, self.overflow)
        self.receiver = Receiver(self.inventory, configuration.intake, mappings)
        self.live = LiveUpdates(self.inventory.series_at)
        self.alerts = AlertService(
            rules,
            self.database,
            store=self.store,
            channels=notify,
            detector=LayeredDetector(),
            station_name=self._station_name,
            tags=Tags(configuration.tags),
        )
        self.notification = NotificationWorker(self.database, notify)
        self.link = HostLink(
            configuration.broker,
            configuration.host,
            (*configuration.intake.filters, *(m.filter for m in mappings)),
            self.inbox,
            shard=shard,
            on_change=self._broker_changed,
        )
        self._indices = DerivedIndices(self.store, self.inventory.series)
        self.pipeline = Pipeline(
            PipelineDependencies(
                self.inbox, self.inventory, self.quarantine, self.store, self.database, self.live,
                self.link,
            ),
            Partition(self.receiver, self.ledger, QualityControl(marked=self.alerts.queries.marked_spans), self.alerts),
            configuration.intake,
            self._describe_gateway,
            self._describe_device,
            self._derive,
        )  # fmt: skip
        self._broker: EmbeddedBroker | None = None
        self._web: _Running | None = None
        self.started_ms = utc_now_ms()

    # --- running

    def start(self) -> None:
        """Start everything; raises ServiceFailed, BrokerFailed."""
        embedded = self.configuration.broker.embedded
        if embedded is not None:
            self._broker = EmbeddedBroker(embedded.host, embedded.port)
            self._broker.start()
        self.inventory.load()
        self.ledger.load()
        self.quarantine.load()
        self.alerts.on_event = self._alert_changed
        self.alerts.register(self.inventory.series())
        self.alerts.start(utc_now_ms())
        self.notification.start()
        self.pipeline.start()
        self._start_web()
        self.link.start()

    def stop(self) -> None:
        """Stop everything within about two seconds; gateways send again what is unfinished."""
        self.live.close()
        self.link.stop(1.0)
        if self._web is not None:
            self._web.server.should_exit = True
        self.pipeline.stop(1.5)
        self.notification.stop()
        if not self.pipeline.running:
            self.alerts.stop(utc_now_ms())
            self.store.close()
        if self._web is not None:
            self._web.thread.join(0.5)
        if self._broker is not None:
            self._broker.stop(0.5)
        self.overflow.close()
        self.database.close()

    @property
    def failed(self) -> str:
        """The defect that ended the pipeline; '' while there is none."""
        return self.pipeline.problem if self.pipeline.failed is not None else ""

    @property
    def address(self) -> str:
        """The address of the API and the web page."""
        host = self.configuration.web.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  # only compared
        return f"http://{shown}:{self.port}"

    @property
    def port(self) -> int:
        """The port of the API and the web page."""
        if self._web is not None and self._web.server.servers:
            return int(self._web.server.servers[0].sockets[0].getsockname()[1])
        return self.configuration.web.port

    def application(self) -> FastAPI:
        """The HTTP application over this service."""
        service = RunningService(
            self.configuration, self.database, self.store, self.inventory, self.ledger,
            self.quarantine, self.receiver, self.inbox, self.pipeline, self.link, self.live,
            self.notification, self.started_ms, utc_now_ms, lambda: self.alerts.transitions_not_stored,
        )  # fmt: skip
        return application.create(service, self._routers())

    def _routers(self) -> Sequence[APIRouter]:
        return [alerts_api.router(self.alerts), index.router(self.store, self.inventory.series)]

    def _start_web(self) -> None:
        web = self.configuration.web
        server = uvicorn.Server(
            uvicorn.Config(
                self.application(),
                host=web.host,
                port=web.port,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
                lifespan="off",
            )
        )
        failure: list[BaseException] = []

        def serve() -> None:
            try:
                server.run()
            except SystemExit as error:  # uvicorn's way to say that it cannot listen
                failure.append(error)

        thread = threading.Thread(target=serve, name="web", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        if not server.started:
            raise ServiceFailed(f"cannot serve on {web.host}:{web.port}: is the port in use?")
        self._web = _Running(server, thread)

    # --- callbacks

    def _broker_changed(self, online: bool) -> None:
        self.pipeline.broker_changed(online)

    def _alert_changed(self, event: Any) -> None:
        alert = event.alert
        self.live.publish("alert", alert, alert.get("station"), alert.get("gateway"))

    def _derive(self, now_ms: int) -> list[DerivedSample]:
        return self.receiver.clocks.tick(now_ms) + self._indices.tick(now_ms)

    def _station_name(self, station: str) -> str:
        found = self.inventory.station(station)
        return found.name if found else station

    def _describe_gateway(self, name: str) -> dict[str, Any] | None:
        gateway = self.inventory.gateway(name)
        return json_of_gateway(gateway, self.inventory, self.ledger) if gateway else None

    def _describe_device(self, gateway: str, name: str) -> dict[str, Any] | None:
        device = self.inventory.device(gateway, name)
        return json_of_device(device, self.inventory) if device else None


def _store_of(configuration: CloudConfiguration, shard: Shard) -> StoreConfiguration:
    """The store of one worker: a server is shared, a folder belongs to one process."""
    store = configuration.store
    if store.path is None or not shard.name:
        return store
    return store.model_copy(update={"path": store.path / shard.name})
