"""The fast reader gives what the full decoder gives, and leaves alone what it does not know."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_ingest.database import Database
from cloud_ingest.intake.configuration import IntakeConfiguration
from cloud_ingest.intake.message import Message
from cloud_ingest.intake.messages import Payload
from cloud_ingest.intake.receiver import Receiver
from cloud_ingest.intake.runs import split
from cloud_ingest.intake.work import Work
from cloud_ingest.registry import Registry
from tests.cloud_ingest.gateways import Gateway

NOW_MS = time.time_ns() // 1_000_000
MANY = 300  # so that aliases of one and of two bytes occur


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('runs')}/state.db")
    database.migrate()
    return database


def receiver(database: Database, *, fast: bool, acknowledged: bool) -> Receiver:
    made = Receiver(Registry(database), IntakeConfiguration())
    gateway = Gateway(
        metrics={f"m{i}": ("", "") for i in range(MANY)}, time_ms=NOW_MS, acknowledged=acknowledged
    )
    for message in gateway.births():
        made.take(message)
    made.take_work()
    if not fast:
        made._reports.let_wait = lambda _t, _m: False  # type: ignore[method-assign]
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


def told(work: Work) -> tuple[list[tuple[Any, ...]], list[Any]]:
    batch = work.columns.take()
    rows = zip(
        batch.series.tolist(), batch.time_ms.tolist(),
        [None if math.isnan(v) else v for v in batch.value.tolist()], batch.quality.tolist(),
        strict=True,
    )  # fmt: skip
    return sorted(rows, key=repr), sorted(work.entries, key=repr)


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
            made.take(Message(topic, build(parts, (n + 2) % 256), NOW_MS))
        results.append(told(made.take_work()))
    assert results[0] == results[1]


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_split_or_left_alone(data: bytes) -> None:
    split(data)


def test_the_usual_message_is_recognised() -> None:
    for aliases in (range(1, 20), range(128, 200), range(100, 160)):
        for historical in (False, True):
            parts: list[Any] = [
                {"alias": a, "timestamp": NOW_MS, "historical": historical, "kind": "double",
                 "value": 1.0}
                for a in aliases
            ]  # fmt: skip
            report = split(build([*parts, 1_795_000_000_123], 200))
            assert report is not None
            assert report.seq == 200
            assert [(m.alias, m.batch, m.samples) for m in report.marks] == [
                (100, 1_795_000_000_123, len(parts))
            ]


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
    report = split(data)
    assert report is not None
    assert report.unmarked == 149


def test_numbers_survive_to_the_last_bit(database: Database) -> None:
    made = receiver(database, fast=True, acknowledged=True)
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 75.42]
    parts: list[Any] = [
        {"alias": i + 1, "timestamp": NOW_MS, "historical": False, "kind": "double", "value": v}
        for i, v in enumerate(values)
    ]
    made.take(Message("spBv1.0/binh-duong/DDATA/bd-tdm-001/air", build([*parts, 1], 2), NOW_MS))
    batch = made.take_work().columns.take()
    assert batch.value.tobytes() == np.array(values).tobytes()
