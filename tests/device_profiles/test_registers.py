"""The register codec: every type, both orders, fields of bits, and what means no reading."""

import math
import struct
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from device_profiles import Metric, Profile, library
from device_profiles.identification import Identification
from device_profiles.modbus import (
    RegisterImage,
    block_decoder,
    decode_metric,
    encode_metric,
    identity,
    matches,
)
from device_profiles.modbus.codec import Unencodable
from device_profiles.registers import Type

NUMBERS = [t for t in Type if t is not Type.BOOL]
MODBUS = [i for i in library.ids() if not library.load(i).is_stream]


def register_map(profile: Profile, values: Mapping[str, float | None]) -> RegisterImage:
    """The registers of a device of this profile with ``values`` (metric name: value)."""
    image = RegisterImage(profile)
    for name, value in values.items():
        image.set(name, value)
    return image


def metric(**fields: object) -> Metric:
    return Metric.model_validate(
        {"name": "m", "quantity": "status", "unit": "1", "address": 0, "type": "uint16", **fields}
    )


# 0x11223344 and 0x1122334455667788 as each order has them on the wire
ORDERS = [
    ("big", "big", [0x1122, 0x3344]),
    ("big", "little", [0x3344, 0x1122]),
    ("little", "big", [0x2211, 0x4433]),
    ("little", "little", [0x4433, 0x2211]),
]


@pytest.mark.parametrize(("byte_order", "word_order", "words"), ORDERS)
def test_both_orders_of_bytes_and_words(byte_order: str, word_order: str, words: list[int]) -> None:
    m = metric(type="uint32", byte_order=byte_order, word_order=word_order)
    assert decode_metric(m, words) == 0x11223344
    assert encode_metric(m, 0x11223344) == words
    assert block_decoder([m], 0, 2).decode(struct.pack(">2H", *words)) == [0x11223344]


@given(
    kind=st.sampled_from(NUMBERS),
    word_order=st.sampled_from(["big", "little"]),
    words=st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4),
)
def test_an_independent_library_reads_the_same(
    kind: Type, word_order: str, words: list[int]
) -> None:
    m = metric(type=kind, word_order=word_order)
    taken = words[: m.register_count]
    theirs = ModbusClientMixin.convert_from_registers(
        taken, ModbusClientMixin.DATATYPE[kind.upper()], word_order=word_order
    )
    ours = decode_metric(m, taken)
    assert ours == (float(theirs) if math.isfinite(theirs) else None)


def test_single_registers_with_swapped_bytes_and_long_ones_with_swapped_words() -> None:
    assert decode_metric(metric(type="int16", byte_order="little"), [0xFEFF]) == -2
    m = metric(type="float64", word_order="little")
    assert decode_metric(m, encode_metric(m, 1234.5)) == 1234.5
    assert encode_metric(m, 1.0) == [0, 0, 0, 0x3FF0]


@given(
    kind=st.sampled_from(NUMBERS),
    byte_order=st.sampled_from(["big", "little"]),
    word_order=st.sampled_from(["big", "little"]),
    scale=st.sampled_from([1, 0.1, 0.01, 0.001, 10, -1, 2.5, 1 / 3]),
    offset=st.sampled_from([0, -40, 0.5]),
    data=st.data(),
)
def test_what_a_simulator_encodes_is_what_the_edge_decodes(
    kind: Type, byte_order: str, word_order: str, scale: float, offset: float, data: st.DataObject
) -> None:
    m = metric(type=kind, byte_order=byte_order, word_order=word_order, scale=scale, offset=offset)
    low, high = (
        (-1e6, 1e6) if kind.is_float else (max(kind.limits[0], -1e9), min(kind.limits[1], 1e9))
    )
    raw = data.draw(st.integers(math.ceil(low), math.floor(high)))
    value = raw * scale + offset
    words = encode_metric(m, value)
    assert len(words) == m.register_count
    assert decode_metric(m, words) == pytest.approx(value, rel=1e-6, abs=1e-6)
    wire = struct.pack(f">{len(words)}H", *words)
    assert block_decoder([m], 0, len(words)).decode(wire) == [decode_metric(m, words)]


@given(st.integers(-32768, 32767))
def test_tenths_come_out_without_the_noise_of_binary_fractions(raw: int) -> None:
    value = decode_metric(metric(type="int16", scale=0.1), [raw & 0xFFFF])
    assert repr(value) == repr(raw / 10)
    shifted = decode_metric(metric(type="int16", scale=0.1, offset=-40), [raw & 0xFFFF])
    assert shifted == (raw - 400) / 10


def test_fields_of_bits_are_cut_out_and_put_back() -> None:
    profile = Profile.model_validate(
        {
            "id": "pump", "manufacturer": "X", "model": "P", "domain": "industry",
            "protocol": "modbus", "source": "invented",
            "metrics": [
                {"name": n, "quantity": "status", "unit": "1", "address": 9, "type": "uint16", "bits": b}
                for n, b in (("fault", 0), ("mode", [1, 3]), ("level", "8-15"))
            ],
        }
    )  # fmt: skip
    image = register_map(profile, {"fault": 1, "mode": 5, "level": 200})
    assert image.read("holding", 9, 1) == [200 << 8 | 5 << 1 | 1]
    image.set("mode", 2)
    words = image.read("holding", 9, 1)
    assert words is not None
    assert [decode_metric(m, words) for m in profile.metrics] == [1, 2, 200]
    with pytest.raises(Unencodable):
        image.set("mode", 8)


def test_a_status_says_its_names() -> None:
    state = metric(enum={0: "good", 2: "bad"})
    assert (state.labels(2), state.labels(7)) == (["bad"], [])
    word = metric(bits={"fault": 0, "mode": [1, 3]})
    assert word.labels(0b1011) == ["fault", "mode=5"]
    assert decode_metric(word, [0b1011]) == 11


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number_is_no_reading(kind: str, value: float) -> None:
    m = metric(type=kind)
    form = ">f" if kind == "float32" else ">d"
    words = struct.unpack(f">{m.register_count}H", struct.pack(form, value))
    assert decode_metric(m, words) is None


def test_values_that_mean_no_reading_are_raw() -> None:
    m = metric(type="int16", scale=0.1, missing=[0x7FFF, -9999])
    assert decode_metric(m, [0x7FFF]) is None
    assert decode_metric(m, [0xD8F1]) is None
    assert decode_metric(m, [0x7FFE]) == 3276.6
    assert encode_metric(m, None) == [0x7FFF]
    assert (
        decode_metric(
            metric(type="float32", missing=[-9999.9]),
            encode_metric(metric(type="float32"), -9999.9),
        )
        is None
    )
    with pytest.raises(Unencodable):
        encode_metric(metric(), None)
    with pytest.raises(Unencodable):
        encode_metric(metric(), 70000)


def test_coils_and_flags_in_registers() -> None:
    coil = metric(table="coil", type=None, address=3)
    assert coil.type is Type.BOOL
    assert decode_metric(coil, [1]) == 1.0
    assert block_decoder([coil], 0, 9).decode(b"\x08\x00") == [1.0]
    flag = metric(type="bool")
    assert [decode_metric(flag, [w]) for w in (0, 1, 0xFF00)] == [0, 1, 1]


def test_decimals_in_the_register_after_the_value() -> None:
    m = metric(type="uint16", address=10, decimals_address=11)
    assert m.register_count == 2
    assert decode_metric(m, [702, 0x0502]) == 7.02
    assert decode_metric(m, [702, 0x00FF]) is None
    assert decode_metric(m, encode_metric(m, 3.14)) == 3.14


def test_one_reply_gives_many_metrics_in_the_order_asked() -> None:
    profile = library.load("ecowitt-wn90lp")
    values = {"temperature": 31.2, "humidity": 78, "wind_speed": 2.5, "pressure": 1009.4}
    image = register_map(profile, {**{m.name: None for m in profile.metrics}, **values})
    words = image.read("holding", 0x165, 9)
    assert words is not None
    metrics = list(reversed(profile.metrics))
    found = block_decoder(metrics, 0x165, 9).decode(struct.pack(">9H", *words))
    assert {m.name: v for m, v in zip(metrics, found, strict=True) if v is not None} == values


def test_a_block_gives_canonical_units_unless_told_otherwise() -> None:
    profile = library.load("seeed-sensecap-one")
    image = register_map(profile, {"pressure": 100_930.0})
    words = image.read("input", 4, 2)
    assert words is not None
    data = struct.pack(">2H", *words)
    pressure = [profile.metric("pressure")]
    assert block_decoder(pressure, 4, 2).decode(data) == [1009.3]
    assert block_decoder(pressure, 4, 2, canonical=False).decode(data) == [100930.0]


def test_a_reply_that_is_too_short_is_an_error_and_not_a_value() -> None:
    with pytest.raises(ValueError, match="4 are needed"):
        block_decoder([metric(type="uint32")], 0, 2).decode(b"\0\0\0")
    with pytest.raises(ValueError, match="does not lie inside"):
        block_decoder([metric(address=5)], 0, 5)
    with pytest.raises(ValueError, match="takes 2 registers"):
        decode_metric(metric(type="uint32"), [1])


@given(data=st.binary(min_size=18, max_size=18))
def test_no_register_bytes_upset_the_codec(data: bytes) -> None:
    types = ["float32", "int16", "uint32", "float64"]
    metrics, address = [], 0
    for i, kind in enumerate(types):
        metrics.append(metric(name=f"m{i}", type=kind, address=address, scale=0.1))
        address += metrics[-1].register_count
    for value in block_decoder(metrics, 0, 9).decode(data):
        assert value is None or math.isfinite(value)


@pytest.mark.parametrize("profile_id", MODBUS)
def test_every_profile_reads_back_what_a_simulator_of_it_says(profile_id: str) -> None:
    profile = library.load(profile_id)
    for m in profile.metrics:
        low, high = m.valid or (0, 1)
        middle = (low + high) / 2
        step = abs(m.scale) if m.type and not m.type.is_float else max(abs(middle), 1) * 1e-6
        step = max(step, 0.01 if m.decimals_address is not None else 0)
        image = register_map(profile, {m.name: middle})
        assert m.address is not None
        words = image.read(m.table, m.address, m.register_count)
        assert words is not None
        value = decode_metric(m, words)
        assert value is not None
        assert abs(value - middle) <= step * 0.51


def test_a_register_that_no_metric_names_does_not_exist() -> None:
    image = register_map(library.load("eastron-sdm120"), {})
    assert image.read("input", 2, 2) is None
    image.write("holding", 0x1C, [0x4000, 0])
    assert image.read("holding", 0x1C, 2) == [0x4000, 0]


def test_a_model_is_known_by_its_registers() -> None:
    rule = library.load("wirenboard-wb-msw-v4").identify[0]
    words = [ord(c) for c in "WBMSW4"]
    assert identity(rule, words) == "WBMSW4"
    assert matches(rule, words)
    assert not matches(rule, [ord(c) for c in "WBMCM8"])
    assert not matches(rule, words[:3])
    text = Identification(type="text", address=0, length=3, equals="ENVEA")
    assert matches(text, [0x454E, 0x5645, 0x4100])
    assert matches(Identification(address=0, mask=0xFF00, equals=0x0200), [0x0204])
    assert matches(Identification(address=0, between=(1, 247)), [17])
    assert not matches(Identification(address=0, type="int16", between=(1, 247)), [0xFFFF])
