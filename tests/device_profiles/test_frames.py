"""Golden frames: bytes as they were on a wire, and what they say."""

import math
import struct

import pytest

from device_profiles import library
from device_profiles.modbus import block_decoder, decode_metric
from device_profiles.streams import decoder
from telemetry.quality import Flag
from tests.device_profiles.golden import Case, cases, crc16

ALL = cases()
MODBUS = [c for c in ALL if not c.is_stream]
STREAMS = [c for c in ALL if c.is_stream]


def _registers(case: Case) -> bytes:
    """The register bytes of a reply, after everything around them has been checked."""
    if "registers" in case.content:
        words = case.content["registers"]
        return struct.pack(f">{len(words)}H", *words)
    reply = bytes.fromhex(case.content["reply"])
    assert crc16(reply[:-2]) == reply[-2:], "the CRC of this golden frame is wrong"
    assert (
        reply[1]
        == {"holding": 3, "input": 4, "coil": 1, "discrete": 2}[case.content["read"]["table"]]
    )
    assert reply[2] == len(reply) - 5
    return reply[3:-2]


@pytest.mark.parametrize("case", MODBUS, ids=str)
def test_a_modbus_reply_gives_the_values_that_the_device_meant(case: Case) -> None:
    profile = library.load(case.profile)
    data, read = _registers(case), case.content["read"]
    metrics = [profile.metric(name) for name in case.content["values"]]
    assert {m.table for m in metrics} == {read["table"]}
    values = block_decoder(metrics, read["address"], read["count"], canonical=False).decode(data)
    if read["table"] in ("coil", "discrete"):
        words = [data[i // 8] >> i % 8 & 1 for i in range(read["count"])]
    else:
        words = list(struct.unpack(f">{read['count']}H", data))
    for metric, value in zip(metrics, values, strict=True):
        expected = case.content["values"][metric.name]
        start = metric.address - read["address"]
        assert decode_metric(metric, words[start : start + metric.register_count]) == value
        assert _same(value, expected), metric.name


def _same(value: float | None, right: float | None) -> bool:
    if value is None or right is None:
        return value is right
    return math.isclose(value, right, rel_tol=1e-6, abs_tol=1e-9)


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_stream_gives_the_samples_that_the_device_meant(case: Case) -> None:
    profile = library.load(case.profile)
    stream = decoder(profile)
    samples = stream.feed(case.stream, 1000)
    wanted: dict[str, list[float | None]] = {}
    for name, value in (pair for frame in case.content["samples"] for pair in frame.items()):
        wanted.setdefault(name, []).append(value)
    for name, right in wanted.items():
        got = [sample.value for sample in samples if sample.metric == name]
        assert len(got) == len(right), name
        assert all(_same(a, b) for a, b in zip(got, right, strict=True)), (name, got, right)
    for sample in samples:
        assert (sample.flag is Flag.MISSING) == (sample.value is None)
    assert stream.checksum_errors == case.content.get("checksum_errors", 0)
    if "resyncs" in case.content:
        assert stream.resyncs == case.content["resyncs"]


def test_every_golden_frame_says_where_it_is_from() -> None:
    assert all(case.content["what"] and case.content["source"] for case in ALL)
