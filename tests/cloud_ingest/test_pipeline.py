"""The whole way of a sample in the cloud, without a network: from message to acknowledgement."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cloud_ingest.database import Database
from cloud_ingest.indices.derived import DerivedSample
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.ledger.ledger import Ledger
from cloud_ingest.intake.mappings import Mapping
from cloud_ingest.intake.mqtt.inbox import Inbox
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.quarantine import Quarantine
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.inventory.inventory import Inventory
from cloud_ingest.live import LiveUpdates
from cloud_ingest.partition import Partition
from cloud_ingest.pipeline import Pipeline
from cloud_ingest.pipeline_dependencies import PipelineDependencies
from telemetry.series import SeriesKey
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.fakes import MemoryStore, PassQuality, RecordingAlerts, RecordingLink
from tests.cloud_ingest.gateways import Gateway
from tests.servers import wait_until


class Cloud:
    """The parts of the cloud with fakes around; ``feed`` puts messages through one step."""

    def __init__(
        self,
        folder: Path,
        store: MemoryStore | None = None,
        mappings: Sequence[Mapping] = (),
        database: Database | None = None,
    ) -> None:
        self.database = database or Database(f"sqlite:///{folder}/state.db")
        self.database.migrate()
        limits = IntakeConfiguration(batch_ms=1, new_series_per_minute=50)
        self.inventory = Inventory(self.database)
        self.ledger = Ledger(self.database)
        self.quarantine = Quarantine(self.database)
        self.inbox = Inbox(10_000_000)
        self.receiver = Receiver(self.inventory, limits, mappings)
        self.store = store or MemoryStore()
        self.alerts, self.link = RecordingAlerts(), RecordingLink()
        self.live = LiveUpdates(self.inventory.series_at)
        self.inventory.load()
        self.ledger.load()
        self.quarantine.load()
        self.pipeline = Pipeline(
            PipelineDependencies(
                self.inbox, self.inventory, self.quarantine, self.store, self.database, self.live,
                self.link,
            ),
            Partition(self.receiver, self.ledger, PassQuality(), self.alerts),
            limits,
        )  # fmt: skip

    def feed(self, *messages: MqttMessage) -> None:
        for message in messages:
            self.inbox.put(message)
        while len(self.inbox):
            self.pipeline.step()

    def settle(self) -> None:
        """Wait until the next acknowledgement may go out."""
        time.sleep(0.11)
        self.pipeline.step()

    def value(self, series: str, time_ms: int) -> tuple[float, int] | None:
        found = self.inventory.series_of(SeriesKey.parse(series))
        assert found is not None
        return self.store.samples.get((found.index, time_ms))


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway(time_ms=utc_now_ms())


def test_a_report_is_stored_and_acknowledged(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    cloud.feed(*gateway.births(), gateway.data(("pm2_5", t, 12.5), ("temperature", t, 30.0)))
    assert cloud.value("bd-tdm-001/air/pm2_5", t) == (12.5, 1)
    assert cloud.value("bd-tdm-001/air/temperature", t) == (30.0, 1)
    cloud.settle()
    assert cloud.link.acknowledged()[-1] == 1
    assert cloud.ledger.samples_stored("bd-tdm-001") == 2


def test_a_large_fleet_is_acknowledged_as_soon_as_nothing_else_is_to_be_done(
    cloud: Cloud, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.feed(*gateway.births())
    cloud.settle()
    monkeypatch.setattr("cloud_ingest.intake.ledger.write_coalescer.LARGE_FLEET", 0)
    monkeypatch.setattr("cloud_ingest.intake.ledger.write_coalescer.LONGEST_MS", 10**9)
    cloud.feed(gateway.data(("pm2_5", gateway.time_ms, 12.5)))
    assert cloud.ledger.samples_stored("bd-tdm-001") == 0
    cloud.pipeline.step()
    assert cloud.ledger.samples_stored("bd-tdm-001") == 1
    assert cloud.link.acknowledged()[-1] == 1


def test_samples_reach_the_store_in_the_order_of_their_series_and_times(
    cloud: Cloud, gateway: Gateway
) -> None:
    t = gateway.time_ms
    cloud.feed(
        *gateway.births(),
        gateway.data(("temperature", t, 1.0), ("pm2_5", t, 2.0), ("pm2_5", t - 1000, 3.0)),
    )
    batch = cloud.alerts.batches[-1]
    places = list(zip(batch.series.tolist(), batch.time_ms.tolist(), strict=True))
    assert places == sorted(places)
    assert len(places) == 3


def test_when_a_gateway_was_last_heard_of_is_there_when_asked_and_after_a_restart(
    cloud: Cloud, gateway: Gateway
) -> None:
    message = gateway.data(("pm2_5", gateway.time_ms, 12.5))
    cloud.feed(*gateway.births(), message)
    known = cloud.inventory.gateway("bd-tdm-001")
    assert known is not None
    assert known.last_seen_ms == message.time_ms
    [air] = [d for d in cloud.inventory.devices_of("bd-tdm-001") if d.name == "air"]
    assert air.last_seen_ms == message.time_ms
    with cloud.database.engine.begin() as connection:
        cloud.inventory.save_last_seen(connection)
    again = Inventory(cloud.database)
    again.load()
    assert [d.last_seen_ms for d in again.devices_of("bd-tdm-001")] == [
        d.last_seen_ms for d in cloud.inventory.devices_of("bd-tdm-001")
    ]


def test_nothing_is_acknowledged_beyond_a_hole(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    cloud.feed(*gateway.births(), gateway.data(("pm2_5", t, 1.0), batch=1))
    cloud.feed(gateway.data(("pm2_5", t + 2, 3.0), batch=3))
    time.sleep(0.11)
    cloud.feed(gateway.data(("pm2_5", t + 3, 4.0), batch=4))
    assert max(cloud.link.acknowledged()) == 1
    time.sleep(0.11)
    cloud.feed(gateway.data(("pm2_5", t + 1, 2.0), batch=2))
    cloud.settle()
    assert cloud.link.acknowledged()[-1] == 4
    assert len(cloud.store.samples) == 4


def test_the_same_report_again_changes_nothing(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    cloud.feed(*gateway.births())
    for _ in range(3):
        cloud.feed(gateway.data(("pm2_5", t, 1.0), batch=1))
    assert cloud.ledger.samples_stored("bd-tdm-001") == 1
    assert len(cloud.store.samples) == 1


def test_a_restart_knows_series_ledger_and_state(tmp_path: Path, gateway: Gateway) -> None:
    first = Cloud(tmp_path)
    t = gateway.time_ms
    first.feed(
        *gateway.births(), gateway.data(("pm2_5", t, 1.0)), gateway.data(("pm2_5", t + 1, 2.0))
    )
    second = Cloud(tmp_path, first.store)
    assert second.inventory.series() == first.inventory.series()
    assert second.ledger.samples_stored("bd-tdm-001") == 2
    gateway.oldest = 3
    second.feed(*gateway.births(), gateway.data(("pm2_5", t + 2, 3.0)))
    assert second.link.acknowledged()[-1] >= 2
    assert second.ledger.samples_stored("bd-tdm-001") == 3
    assert second.inventory.station("tdm") is not None


def test_what_a_gateway_gave_up_becomes_a_gap_and_nothing_waits_for_it(
    cloud: Cloud, gateway: Gateway
) -> None:
    t = gateway.time_ms
    cloud.feed(*gateway.births(), gateway.data(("pm2_5", t, 1.0)))
    gateway.oldest, gateway.next_batch = 10, 12
    cloud.feed(*gateway.births(), gateway.data(("pm2_5", t + 1, 2.0), batch=10))
    cloud.settle()
    assert cloud.link.acknowledged()[-1] == 10
    account = cloud.ledger.account("bd-tdm-001")
    assert account is not None
    assert account.through == 10


def test_data_before_a_birth_asks_for_one_rebirth(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    for i in range(5):
        cloud.feed(gateway.data(("pm2_5", t + i, 1.0)))
    rebirths = [s for s in cloud.link.sent if s[1] == "Node Control/Rebirth"]
    assert rebirths == [("spBv1.0/binh-duong/NCMD/bd-tdm-001", "Node Control/Rebirth", True)]


def test_deaths_take_devices_and_gateways_offline(cloud: Cloud, gateway: Gateway) -> None:
    cloud.feed(*gateway.births())
    cloud.feed(gateway.device_death())
    assert cloud.alerts.online[-1] == ("bd-tdm-001", "air", False)
    cloud.feed(gateway.device_birth())
    old_will = Gateway(bdseq=100, time_ms=gateway.time_ms).death()
    cloud.feed(old_will)
    found = cloud.inventory.gateway("bd-tdm-001")
    assert found is not None
    assert found.online
    cloud.feed(gateway.death())
    assert cloud.alerts.online[-2:] == [("bd-tdm-001", "air", False), ("bd-tdm-001", None, False)]


def test_a_foreign_gateway_is_taken_in_without_acknowledgement(cloud: Cloud) -> None:
    t = utc_now_ms()
    foreign = Gateway(
        name="plc", group="plant", acknowledged=False, station="", time_ms=t,
        metrics={"pm10": ("pm10", "mg/m3"), "Boiler/Load": ("", "")},
    )  # fmt: skip
    cloud.feed(*foreign.births(), foreign.data(("pm10", t, 0.05), ("Boiler/Load", t, 7.0)))
    assert cloud.value("plc/air/pm10", t) == (pytest.approx(50.0), 1)
    load = cloud.inventory.series_of(SeriesKey("plc", "air", "Boiler/Load"))
    assert load is not None
    assert (load.quantity, load.station) == ("unknown", "plc")
    assert cloud.link.acknowledged() == []
    assert cloud.ledger.samples_stored("plc") == 2


def test_rubbish_is_kept_with_its_reason_and_stops_nothing(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    cloud.feed(
        *gateway.births(),
        MqttMessage(gateway.topic("DDATA", "air"), b"\xff\xff\xff rubbish", t),
        MqttMessage("spBv1.0/what", b"", t),
        MqttMessage(gateway.topic("DDATA", "air"), b"\x00" * 2_000_000, t),
        gateway.data(("pm2_5", t, 5.0)),
    )
    assert cloud.value("bd-tdm-001/air/pm2_5", t) == (5.0, 1)
    reasons = cloud.quarantine.summary()
    assert len(reasons) == 3
    assert any("larger than" in r for r in reasons)
    assert any("unknown topic" in r for r in reasons)


def test_times_far_off_go_to_the_quarantine(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    cloud.feed(
        *gateway.births(),
        gateway.data(
            ("pm2_5", t + 10**9, 1.0), ("pm2_5", 5, 2.0), ("pm2_5", 2**63, 3.0), ("pm2_5", t, 4.0)
        ),
    )
    assert len(cloud.store.samples) == 1
    assert cloud.quarantine.summary() == {"time before 2000": 1, "time in the future": 2}
    cloud.settle()
    assert cloud.link.acknowledged()[-1] == 1


@pytest.mark.parametrize("minutes", [1, 5, 10])
def test_samples_of_a_clock_some_minutes_ahead_are_stored(
    cloud: Cloud, gateway: Gateway, minutes: int
) -> None:
    ahead = gateway.time_ms + minutes * 60_000
    cloud.feed(*gateway.births(), gateway.data(*(("pm2_5", ahead + i, 1.0) for i in range(10))))
    assert len(cloud.store.samples) == 10
    assert cloud.quarantine.summary() == {}
    assert cloud.ledger.samples_stored("bd-tdm-001") == 10


def test_around_the_limit_of_the_future_samples_are_stored_or_quarantined_and_none_is_missing(
    cloud: Cloud, gateway: Gateway
) -> None:
    limit = gateway.time_ms + 3_600_000  # max_future_s; the pipeline's clock runs a little further
    times = [limit - 600_000 + i * 120_000 for i in range(10)]
    cloud.feed(*gateway.births(), gateway.data(*(("pm2_5", t, 1.0) for t in times)))
    stored = sorted(t for _, t in cloud.store.samples)
    assert stored == [t for t in times if t <= limit]
    assert cloud.quarantine.summary() == {"time in the future": len(times) - len(stored)}


def test_nan_infinity_and_null_are_stored_as_what_they_are(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    values = (float("nan"), float("inf"), None)
    cloud.feed(
        *gateway.births(), gateway.data(*(("pm2_5", t + i, v) for i, v in enumerate(values)))
    )
    flags = [cloud.value("bd-tdm-001/air/pm2_5", t + i) for i in range(3)]
    assert [f[1] for f in flags if f] == [9, 4, 9]
    assert all(f and f[0] != f[0] for f in flags)


def test_an_unknown_unit_is_not_guessed(cloud: Cloud) -> None:
    t = utc_now_ms()
    gateway = Gateway(
        metrics={"pm2_5": ("pm2_5", "furlong"), "t": ("air_temperature", "K")}, time_ms=t
    )
    cloud.feed(*gateway.births(), gateway.data(("pm2_5", t, 1.0), ("t", t, 300.0)))
    assert cloud.inventory.series_of(SeriesKey("bd-tdm-001", "air", "pm2_5")) is None
    assert cloud.value("bd-tdm-001/air/t", t) == (pytest.approx(26.85), 1)
    assert any("furlong" in reason for reason in cloud.quarantine.summary())


def test_one_gateway_cannot_flood_the_inventory(cloud: Cloud) -> None:
    gateway = Gateway(
        metrics={f"m{i}": ("", "") for i in range(500)}, acknowledged=False,
        time_ms=utc_now_ms(),
    )  # fmt: skip
    cloud.feed(*gateway.births())
    assert len(cloud.inventory) == 50


def test_the_store_refuses_some_samples_and_takes_the_rest(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    cloud.feed(*gateway.births())
    cloud.store.refuses.add(0)
    cloud.feed(gateway.data(("pm2_5", t, 1.0), ("temperature", t, 2.0)))
    assert cloud.value("bd-tdm-001/air/temperature", t) == (2.0, 1)
    assert cloud.quarantine.summary() == {"store: no such field": 1}
    cloud.settle()
    assert cloud.link.acknowledged()[-1] == 1


def test_a_defect_in_the_rules_does_not_stop_storing(cloud: Cloud, gateway: Gateway) -> None:
    cloud.alerts.broken = True
    cloud.feed(*gateway.births(), gateway.data(("pm2_5", gateway.time_ms, 1.0)))
    assert cloud.pipeline.counters.rule_failures == 1
    cloud.settle()
    assert cloud.link.acknowledged()[-1] == 1


def test_a_store_that_is_down_delays_and_loses_nothing(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    cloud.feed(*gateway.births())
    cloud.store.down = True
    cloud.pipeline.start()
    cloud.inbox.put(gateway.data(("pm2_5", t, 1.0)))
    wait_until(lambda: "down" in cloud.pipeline.problem, "the pipeline waits for its store")
    acknowledged = cloud.link.acknowledged()
    cloud.store.down = False
    wait_until(lambda: cloud.link.acknowledged() != acknowledged, "the report is acknowledged")
    cloud.pipeline.stop()
    assert cloud.link.acknowledged()[-1] == 1
    assert cloud.value("bd-tdm-001/air/pm2_5", t) == (1.0, 1)


def test_a_gateway_id_belongs_to_one_group(cloud: Cloud, gateway: Gateway) -> None:
    other = Gateway(group="elsewhere", time_ms=gateway.time_ms)
    cloud.feed(*gateway.births(), other.node_birth())
    found = cloud.inventory.gateway("bd-tdm-001")
    assert found is not None
    assert found.group == "binh-duong"
    assert any("belongs to group" in reason for reason in cloud.quarantine.summary())


def test_what_is_worked_out_goes_the_way_of_every_sample(cloud: Cloud, gateway: Gateway) -> None:
    t = gateway.time_ms
    key = SeriesKey("bd-tdm-001", "index", "vn_aqi_hour")
    derived = [DerivedSample(key, "binh-duong", "tdm", "vn_aqi_hour", 3_600_000, t, 87.0)]
    cloud.pipeline._derive = lambda _now_ms: [derived.pop()] if derived else []
    cloud.feed(*gateway.births(), gateway.data(("pm2_5", t, 1.0)))
    cloud.pipeline.step()
    assert cloud.value("bd-tdm-001/index/vn_aqi_hour", t) == (87.0, 1)
    assert cloud.ledger.samples_stored("bd-tdm-001") == 1


def test_bus_counters_reach_the_device(cloud: Cloud, gateway: Gateway) -> None:
    name = "Diagnostics/air/timeouts"
    cloud.feed(gateway.node_birth(**{name: (0, 8)}), gateway.device_birth())
    cloud.feed(gateway.node_data(**{name: (7, 8), "Store/Backlog": (42, 4)}))
    device = cloud.inventory.device("bd-tdm-001", "air")
    found = cloud.inventory.gateway("bd-tdm-001")
    assert device is not None
    assert found is not None
    assert device.diagnostics == {"timeouts": 7}
    assert found.backlog == 42
