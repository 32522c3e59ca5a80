"""Samples become the same bytes as metrics of the payload codec."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.quality import Flag
from telemetry.sparkplug import (
    DataType,
    Metric,
    Payload,
    decode,
    encode,
)
from telemetry.sparkplug.data_encoder import (
    SampleEncoder,
    encode_batch_number,
    encode_data,
    encode_sample,
)
from telemetry.varint import decode_varint, encode_varint, encode_varints

# The field table of the specification: message -> "name number type" (* repeated).


@given(
    st.lists(st.integers(1, 2**20), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 2**45), st.integers(0, 2**45)), min_size=1, max_size=8),
    st.integers(0, 3),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_batches_together_become_the_same_bytes_as_each_alone(
    aliases: list[int], batches: list[tuple[int, int]], near: int, historical: bool
) -> None:
    """Also where one moment needs more bytes than the next, or all are close to each other."""
    if near:
        batches = [(batches[0][0] + near * i, batches[0][1] + 1000 * near * i) for i in range(9)]
    numbers, times_ms = [n for n, _ in batches], [t for _, t in batches]
    rows = [[i + a / 8 for a in aliases] for i in range(len(batches))]
    data = [struct.pack(f"<{len(row)}d", *row) for row in rows]
    encoder = SampleEncoder(aliases, closing=9)
    together = encoder.encode_batches(numbers, times_ms, b"".join(data), historical=historical)
    alone = [
        b"".join(
            encode_sample(a, t, v, Flag.NOT_EVALUATED, historical=historical)
            for a, v in zip(aliases, row, strict=True)
        )
        + encode_batch_number(n, t, alias=9, historical=historical)
        for n, t, row in zip(numbers, times_ms, rows, strict=True)
    ]
    assert together == b"".join(alone)


@given(st.lists(st.integers(0, 2**62)), st.integers(0, 2**62))
def test_numbers_in_a_row_are_the_same_as_each_alone(values: list[int], start: int) -> None:
    values += range(start, start + 5)
    assert encode_varints(values) == [encode_varint(v) for v in values]


def test_numbers_longer_than_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        decode_varint(b"\xff" * 11, 0)


@given(
    st.lists(st.tuples(st.integers(1, 2**20), st.floats(allow_nan=False)), min_size=1, max_size=30),
    st.integers(0, 2**43),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_columns_become_the_same_bytes_as_metrics(
    rows: list[tuple[int, float]], time_ms: int, historical: bool
) -> None:
    aliases = [a for a, _ in rows]
    data = struct.pack(f"<{len(rows)}d", *(v for _, v in rows))
    fast = SampleEncoder(aliases, closing=9)
    fast.encode(time_ms ^ 1, bytes(8 * len(rows)), historical=historical)
    body = fast.encode(time_ms, data, historical=historical)
    one_by_one = b"".join(
        encode_sample(a, time_ms, v, Flag.NOT_EVALUATED, historical=historical) for a, v in rows
    )
    assert body == one_by_one
    closing = encode_batch_number(2**40, time_ms, alias=9, historical=historical)
    assert fast.encode_batches([2**40], [time_ms], data, historical=historical) == body + closing
    payload = encode_data(7, 255, body + closing)
    slow = Payload(
        7,
        (
            *(
                Metric(
                    alias=a, timestamp_ms=time_ms, value=v, is_historical=historical,
                    datatype=DataType.DOUBLE,
                )
                for a, v in rows
            ),
            Metric(
                alias=9, timestamp_ms=time_ms, value=2**40, is_historical=historical,
                is_transient=True, datatype=DataType.UINT64,
            ),
        ),
        255,
    )  # fmt: skip
    assert payload == encode(slow, datatypes=False)


def test_flagged_and_missing_samples_say_so() -> None:
    raw = encode_sample(5, 1000, 2.5, Flag.SUSPECT, historical=False)
    raw += encode_sample(6, 1000, None, Flag.MISSING, historical=True)
    suspect, missing = decode(raw).metrics
    assert suspect.value == 2.5
    assert suspect.properties["Quality"].value == 500
    assert suspect.properties["Quantrac/Flag"].value == 3
    assert missing.is_null
    assert missing.is_historical
    assert missing.properties["Quality"].value == 0
    assert missing.properties["Quantrac/Flag"].value == 9


def test_a_canonical_data_metric_costs_twenty_bytes() -> None:
    assert (
        len(encode_sample(100, 1_790_000_000_000, 75.42, Flag.NOT_EVALUATED, historical=False))
        == 20
    )
