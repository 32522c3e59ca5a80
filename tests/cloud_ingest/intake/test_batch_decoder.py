"""The fast reader gives what the full decoder gives, and leaves alone what it does not know."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.database import Database
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.mqtt.message import MqttMessage
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.intake.sparkplug import byte_scan, commands
from cloud_ingest.intake.sparkplug.protobuf_messages import Payload
from cloud_ingest.intake.work import Receipts, Work
from cloud_ingest.inventory.inventory import Inventory
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.gateways import Gateway

NOW_MS = utc_now_ms()
MANY = 300  # so that aliases of one and of two bytes occur


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('runs')}/state.db")
    database.migrate()
    return database


def receiver(database: Database, *, fast: bool, acknowledged: bool) -> Receiver:
    made = Receiver(Inventory(database), IntakeConfiguration())
    gateway = Gateway(
        metrics={f"m{i}": ("", "") for i in range(MANY)}, time_ms=NOW_MS, acknowledged=acknowledged
    )
    for message in gateway.births():
        made.take(message)
    made.take_work()
    if not fast:
        made._reports.collect = lambda _r, _m: False  # type: ignore[method-assign]  # only the full decoder
    return made


metric = st.fixed_dictionaries(
    {
        "alias": st.one_of(st.integers(1, 99), st.integers(101, MANY), st.just(9999)),
        "timestamp": st.one_of(
            st.integers(NOW_MS - 10**9, NOW_MS), st.integers(0, 2**40), st.just(2**63)
        ),
        "historical": st.booleans(),
        "kind": st.sampled_from(["double"] * 12 + ["float", "int", "null", "flag", "text"]),
        "value": st.floats(width=64),
    }
)
part = st.one_of(metric, metric, metric, st.integers(1, 2**50))


def build(parts: list[Any], seq: int) -> bytes:
    payload = Payload(timestamp=NOW_MS, seq=seq)
    for p in parts:
        if isinstance(p, int):
            payload.metrics.add(alias=100, timestamp=NOW_MS, is_transient=True, long_value=p)
            continue
        m = payload.metrics.add(alias=p["alias"], timestamp=p["timestamp"])
        if p["historical"]:
            m.is_historical = True
        match p["kind"]:
            case "float":
                m.float_value = 1.5
            case "int":
                m.int_value = 7
            case "null":
                m.is_null = True
            case "text":
                m.string_value = "x"
            case _:
                m.double_value = p["value"]
                if p["kind"] == "flag":
                    m.properties.keys.append("Quantrac/Flag")
                    m.properties.values.add(type=3, int_value=3)
    return bytes(payload.SerializeToString())


def contents(work: Work) -> tuple[list[tuple[Any, ...]], list[Any]]:
    batch = work.samples.take()
    rows = zip(
        batch.series.tolist(), batch.time_ms.tolist(),
        [None if math.isnan(v) else v for v in batch.value.tolist()], batch.quality.tolist(),
        strict=True,
    )  # fmt: skip
    entries = [
        one for e in work.entries for one in (e.one_by_one() if isinstance(e, Receipts) else [e])
    ]
    return sorted(rows, key=repr), sorted(entries, key=repr)


@pytest.fixture(scope="module")
def receivers(database: Database) -> dict[tuple[bool, bool], Receiver]:
    both = (True, False)
    return {(f, a): receiver(database, fast=f, acknowledged=a) for f in both for a in both}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(part, max_size=12), min_size=1, max_size=6), st.booleans())
def test_both_ways_of_reading_agree(
    receivers: dict[tuple[bool, bool], Receiver], messages: list[list[Any]], acknowledged: bool
) -> None:
    results = []
    for fast in (True, False):
        made = receivers[fast, acknowledged]
        for n, parts in enumerate(messages):
            topic = "spBv1.0/binh-duong/DDATA/bd-tdm-001/air"
            made.take(MqttMessage(topic, build(parts, (n + 2) % 256), NOW_MS))
        results.append(contents(made.take_work()))
    assert results[0] == results[1]


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_bytes_of_any_kind_are_read_or_left_alone(data: list[bytes]) -> None:
    byte_scan.scan(data)
    for one in data:
        byte_scan.sequence_number(one)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(part, max_size=8), min_size=1, max_size=6), st.data())
def test_what_was_cut_or_changed_is_read_as_protobuf_reads_it(
    messages: list[list[Any]], data: st.DataObject
) -> None:
    payloads = [build(parts, n) for n, parts in enumerate(messages)]
    which = data.draw(st.integers(0, len(payloads) - 1))
    torn = bytearray(payloads[which])
    position = data.draw(st.integers(0, len(torn) - 1))
    if data.draw(st.booleans()):
        torn[position] = data.draw(st.integers(0, 255))
    else:
        del torn[position]
    payloads[which] = bytes(torn)
    columns = byte_scan.scan(payloads)
    for n, payload in enumerate(payloads):
        if not columns.read[n]:
            continue
        mine, marks = columns.owner == n, columns.mark_owner == n
        found = Payload.FromString(payload)
        assert byte_scan.sequence_number(payload) == found.seq
        samples = [m for m in found.metrics if m.HasField("double_value")]
        assert columns.alias[mine].tolist() == [m.alias for m in samples]
        assert columns.time_ms[mine].tolist() == [m.timestamp for m in samples]
        values = np.array([m.double_value for m in samples])
        assert columns.value[mine].tobytes() == values.tobytes()
        closing = [m for m in found.metrics if not m.HasField("double_value")]
        assert columns.mark_alias[marks].tolist() == [m.alias for m in closing]
        assert columns.mark_batch[marks].tolist() == [m.long_value for m in closing]


def test_the_usual_message_is_recognised() -> None:
    for aliases in (range(1, 20), range(128, 200), range(100, 160)):
        for historical in (False, True):
            parts: list[Any] = [
                {"alias": a, "timestamp": NOW_MS, "historical": historical, "kind": "double",
                 "value": 1.0}
                for a in aliases
            ]  # fmt: skip
            payload = build([*parts, 1_795_000_000_123], 200)
            columns = byte_scan.scan([payload])
            assert columns.read.all()
            assert byte_scan.sequence_number(payload) == 200
            assert columns.mark_alias.tolist() == [100]
            assert columns.mark_batch.tolist() == [1_795_000_000_123]
            assert columns.mark_samples.tolist() == [len(parts)]


def test_what_our_edge_writes_is_usual(tmp_path: Path) -> None:
    sparkplug = pytest.importorskip("telemetry.sparkplug")
    metrics = [
        sparkplug.Metric(
            alias=a, timestamp_ms=NOW_MS + a, datatype=sparkplug.DataType.DOUBLE, value=a / 7
        )
        for a in range(1, 150)
    ]
    data = sparkplug.encode(
        sparkplug.Payload(timestamp_ms=NOW_MS, metrics=metrics, seq=3), datatypes=False
    )
    columns = byte_scan.scan([data])
    assert columns.read.all()
    assert columns.unmarked.tolist() == [149]


@given(st.integers(1, 2**62), st.integers(NOW_MS - 10**9, NOW_MS))
def test_an_acknowledgement_is_what_protobuf_would_write(batch: int, now_ms: int) -> None:
    payload = Payload.FromString(commands.Acknowledgements(now_ms).encode(batch))
    assert payload.timestamp == now_ms
    [metric] = payload.metrics
    assert (metric.name, metric.timestamp, metric.datatype, metric.long_value) == (
        "Node Control/Ack Through", now_ms, 8, batch,
    )  # fmt: skip
    assert payload.SerializeToString() == commands.Acknowledgements(now_ms).encode(batch)


def test_numbers_survive_to_the_last_bit(database: Database) -> None:
    made = receiver(database, fast=True, acknowledged=True)
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 75.42]
    parts: list[Any] = [
        {"alias": i + 1, "timestamp": NOW_MS, "historical": False, "kind": "double", "value": v}
        for i, v in enumerate(values)
    ]
    made.take(MqttMessage("spBv1.0/binh-duong/DDATA/bd-tdm-001/air", build([*parts, 1], 2), NOW_MS))
    batch = made.take_work().samples.take()
    assert batch.value.tobytes() == np.array(values).tobytes()


def test_when_a_device_was_heard_of_is_known_and_kept(database: Database) -> None:
    inventory = Inventory(database)
    inventory.update_gateway("g", group="bd", station="s", online=True, since_ms=1)
    inventory.update_device("g", "d", online=True, since_ms=1)
    names: list[tuple[str, str | None]] = [("g", "d")]
    inventory.note_many_last_seen(names, np.array([0, 0]), np.array([5, 9]))
    inventory.note_last_seen({("g", "d"): 7})
    gateway, device = inventory.gateway("g"), inventory.device("g", "d")
    assert gateway is not None
    assert device is not None
    assert (gateway.last_seen_ms, device.last_seen_ms) == (9, 9)
    with database.engine.begin() as connection:
        inventory.save(connection)
    inventory.saved(last_seen=True)
    names.append(("g", "later"))
    inventory.note_many_last_seen(names, np.array([1, 0]), np.array([11, 12]))
    with database.engine.begin() as connection:
        inventory.save_last_seen(connection)
    again = Inventory(database)
    again.load()
    device = again.device("g", "d")
    assert device is not None
    assert device.last_seen_ms == 12


def test_a_gateway_that_no_longer_acknowledges_is_not_expected_to_send_again(
    database: Database,
) -> None:
    made = receiver(database, fast=True, acknowledged=True)
    assert made.acknowledging() == {"bd-tdm-001"}
    for message in Gateway(time_ms=NOW_MS, acknowledged=False).births():
        made.take(message)
    assert made.acknowledging() == frozenset()
