"""A store that is slow or away: memory stays bounded, nothing is lost, names survive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.database.schema import events
from cloud_ingest.intake.mqtt.inbox import Inbox
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.mqtt.overflow_file import OverflowFile
from telemetry.series import SeriesKey
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.gateways import Gateway
from tests.cloud_ingest.test_pipeline import Cloud
from tests.servers import wait_until

DATA = "spBv1.0/g/DDATA/{}/d"


def test_data_that_will_be_sent_again_is_left_out_first(tmp_path: Path) -> None:
    inbox = Inbox(10_000, OverflowFile(tmp_path / "spill", 1_000_000))
    inbox.will_send_again(frozenset({"ours"}))
    for n in range(100):
        inbox.put(MqttMessage(DATA.format("ours"), b"x" * 500, n))
        inbox.put(MqttMessage(DATA.format("foreign"), b"y" * 500, n))
        inbox.put(MqttMessage("spBv1.0/g/NBIRTH/ours", b"z", n))
        assert inbox.pending_bytes <= 10_000
    taken: list[MqttMessage] = []
    while messages := inbox.take_many(0):
        taken.extend(messages)
    assert [m.time_ms for m in taken if "foreign" in m.topic] == list(range(100))
    assert [m.time_ms for m in taken if "NBIRTH" in m.topic] == list(range(100))
    assert inbox.dropped_total > 0
    assert inbox.lost_total == 0
    assert inbox.take_dropped() == {"ours"}
    assert inbox.pending_bytes == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=60))
def test_order_is_kept_through_the_file(steps: list[tuple[int, bool]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        spill = OverflowFile(Path(folder) / "spill", 10_000_000)
        inbox = Inbox(5_000, spill)
        put, taken = 0, []
        for size, take in steps:
            assert inbox.put(MqttMessage("a/b", b"x" * size, put))
            put += 1
            if take:
                taken += [m.time_ms for m in inbox.take_many(0)]
        while messages := inbox.take_many(0):
            taken += [m.time_ms for m in messages]
        assert taken == list(range(put))
        assert len(spill) == 0
        spill.close()


def test_the_overflow_file_keeps_which_messages_are_replayed(tmp_path: Path) -> None:
    inbox = Inbox(0, OverflowFile(tmp_path / "spill", 1_000_000))
    put = [
        MqttMessage("spBv1.0/g/DDATA/ours/d", b"a", 1, "message", 7),
        MqttMessage("", b"[]", 2, "samples", 1 << 40),
        MqttMessage("a/b", b"", 3),
    ]
    inbox.will_send_again(frozenset({"ours"}))
    assert all(inbox.put(m) for m in put)
    assert inbox.take_many(0) == put


def test_a_replayed_message_that_finds_no_room_is_neither_lost_nor_dropped() -> None:
    inbox = Inbox(0)
    assert not inbox.put(MqttMessage("spBv1.0/g/DDATA/ours/d", b"a", 1, "message"))
    assert (inbox.lost_total, inbox.dropped_total, inbox.take_dropped()) == (0, 0, set())


def test_while_the_store_is_away_memory_is_bounded_and_nothing_is_lost(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.inbox._max_bytes = 20_000
    cloud.inbox._overflow = OverflowFile(tmp_path / "spill", 10_000_000)
    t = utc_now_ms()
    ours = Gateway(time_ms=t)
    foreign = Gateway(name="plc", acknowledged=False, station="", time_ms=t)
    cloud.feed(*ours.births(), *foreign.births())
    cloud.inbox.will_send_again(cloud.receiver.acknowledging())
    cloud.store.down = True
    cloud.pipeline.start()
    reports = [ours.data(("pm2_5", t + n, float(n))) for n in range(400)]
    for n, report in enumerate(reports):
        cloud.inbox.put(report)
        cloud.inbox.put(foreign.data(("pm2_5", t + n, float(n))))
        assert cloud.inbox.pending_bytes <= 20_000
    assert cloud.inbox.dropped_total > 0
    assert cloud.inbox.lost_total == 0
    cloud.store.down = False
    wait_until(lambda: cloud.ledger.samples_stored("plc") == 400, "the foreign data is stored")
    for _ in range(2):  # the gateway sends again what was not acknowledged
        acknowledged = max(cloud.link.acknowledged())
        for report in reports[acknowledged:]:
            wait_until(
                lambda: cloud.inbox.pending_bytes <= 10_000 and not cloud.inbox.overflow_bytes
            )
            cloud.inbox.put(report)
        wait_until(lambda: cloud.ledger.samples_stored("bd-tdm-001") == 400, "all is stored")
    wait_until(lambda: max(cloud.link.acknowledged()) == 400, "all is acknowledged")
    cloud.pipeline.stop()
    assert cloud.ledger.samples_stored("bd-tdm-001") == 400
    assert cloud.ledger.samples_stored("plc") == 400
    assert len(cloud.store.samples) == 800


HOSTILE = [
    "O'Brien \"x\"", "a b\tc", "line\nbreak", "../../etc/passwd", "\u202eevil\u202c", "🌫️🚗",
    "Thủ Dầu Một", "%s{0}${HOME}", "a,b=c d", "\\", "'; DROP TABLE series; --", "a" * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind_survive(tmp_path: Path, name: str) -> None:
    t = utc_now_ms()
    gateway = Gateway(
        metrics={name: ("", "")}, acknowledged=False, station=name[:60], time_ms=t,
    )  # fmt: skip
    cloud = Cloud(tmp_path)
    cloud.feed(*gateway.births(), gateway.data((name, t, 1.0)))
    again = Cloud(tmp_path, cloud.store)
    key = SeriesKey("bd-tdm-001", "air", name)
    series = again.inventory.series_of(key)
    assert series is not None
    assert cloud.store.samples[series.index, t][0] == 1.0
    assert SeriesKey.parse(str(key)) == key
    assert json.loads(json.dumps(str(key))) == str(key)


def test_a_name_with_a_nul_is_not_taken_in(tmp_path: Path) -> None:
    t = utc_now_ms()
    gateway = Gateway(metrics={"a\x00b": ("", ""), "ok": ("", "")}, acknowledged=False, time_ms=t)
    cloud = Cloud(tmp_path)
    cloud.feed(*gateway.births(), gateway.data(("a\x00b", t, 1.0), ("ok", t, 2.0)))
    assert len(cloud.inventory) == 1
    assert any("NUL" in reason for reason in cloud.quarantine.summary())


def test_ten_thousand_new_series_from_one_gateway_are_limited_and_announced(tmp_path: Path) -> None:
    t = utc_now_ms()
    flood = Gateway(
        metrics={f"m{n}": ("", "") for n in range(5_000)}, acknowledged=False, time_ms=t
    )
    calm = Gateway(name="calm", time_ms=t)
    cloud = Cloud(tmp_path)
    births = [flood.node_birth(), flood.device_birth("a"), flood.device_birth("b")]
    cloud.feed(*births, *calm.births(), calm.data(("pm2_5", t, 1.0)))
    assert len(cloud.inventory) == 50 + 2
    assert cloud.value("calm/air/pm2_5", t) == (1.0, 1)
    with cloud.database.engine.connect() as connection:
        said = connection.execute(sa.select(events).where(events.c.kind == "series_limit"))
        assert sum(row.details["refused"] for row in said) == 10_000 - 50
