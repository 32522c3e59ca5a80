"""The payload codec, against Google's own protocol buffers as an independent witness."""

import zlib
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.sparkplug import (
    DataSet,
    DataType,
    Metric,
    Parameter,
    Payload,
    PayloadError,
    PayloadLimits,
    PropertyValue,
    Template,
    as_type,
    decode,
    encode,
)
from telemetry.sparkplug.datatypes import ARRAYS, INTEGERS, TEXTS
from telemetry.sparkplug.protobuf import bytes_field, varint_field
from telemetry.varint import encode_varint

# The field table of the specification: message -> "name number type" (* repeated).
TABLE = {
    "Payload": "timestamp 1 u64,metrics* 2 Metric,seq 3 u64,uuid 4 str,body 5 bytes",
    "Metric": "name 1 str,alias 2 u64,timestamp 3 u64,datatype 4 u32,is_historical 5 bool,"
    "is_transient 6 bool,is_null 7 bool,metadata 8 bytes,properties 9 PropertySet,int 10 u32,"
    "long 11 u64,float 12 f32,double 13 f64,boolean 14 bool,string 15 str,bytes 16 bytes,"
    "dataset 17 DataSet,template 18 Template",
    "PropertySet": "keys* 1 str,values* 2 PropertyValue",
    "PropertyValue": "type 1 u32,is_null 2 bool,int 3 u32,long 4 u64,float 5 f32,double 6 f64,"
    "boolean 7 bool,string 8 str,propertyset 9 PropertySet,propertysets 10 PropertySetList",
    "PropertySetList": "propertyset* 1 PropertySet",
    "DataSet": "num 1 u64,columns* 2 str,types* 3 u32,rows* 4 Row",
    "Row": "elements* 1 Cell",
    "Cell": "int 1 u32,long 2 u64,float 3 f32,double 4 f64,boolean 5 bool,string 6 str",
    "Template": "version 1 str,metrics* 2 Metric,parameters* 3 Parameter,ref 4 str,definition 5 bool",
    "Parameter": "name 1 str,type 2 u32,int 3 u32,long 4 u64,float 5 f32,double 6 f64,"
    "boolean 7 bool,string 8 str",
}
KINDS = {"u64": 4, "u32": 13, "bool": 8, "str": 9, "bytes": 12, "f32": 2, "f64": 1}


def message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="sp.proto", package="sp", syntax="proto2")
    for name, text in TABLE.items():
        message = file.message_type.add(name=name)
        for column in text.split(","):
            label, num, kind = column.split(" ")
            entry = message.field.add(name=label.rstrip("*"), number=int(num))
            entry.label = 3 if label.endswith("*") else 1
            if kind in KINDS:
                entry.type = KINDS[kind]
            else:
                entry.type, entry.type_name = 11, f".sp.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"sp.{name}"))
        for name in TABLE
    }


UPB = message_classes()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
u64 = st.integers(0, 2**64 - 1)


def integers_of(datatype: DataType) -> st.SearchStrategy[int]:
    bits, signed = INTEGERS[datatype]
    return (
        st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if signed
        else st.integers(0, 2**bits - 1)
    )


def scalars_of(datatype: DataType) -> st.SearchStrategy[Any]:
    if datatype in INTEGERS:
        return integers_of(datatype)
    if datatype is DataType.FLOAT:
        return st.floats(width=32, allow_nan=False)
    if datatype is DataType.DOUBLE:
        return st.floats(allow_nan=False)
    return st.booleans() if datatype is DataType.BOOLEAN else texts


SCALARS = [*INTEGERS, DataType.FLOAT, DataType.DOUBLE, DataType.BOOLEAN, *sorted(TEXTS)]
NUMBER_ARRAYS = {
    DataType.INT8_ARRAY: DataType.INT8, DataType.INT16_ARRAY: DataType.INT16,
    DataType.INT32_ARRAY: DataType.INT32, DataType.INT64_ARRAY: DataType.INT64,
    DataType.UINT8_ARRAY: DataType.UINT8, DataType.UINT16_ARRAY: DataType.UINT16,
    DataType.UINT32_ARRAY: DataType.UINT32, DataType.UINT64_ARRAY: DataType.UINT64,
    DataType.FLOAT_ARRAY: DataType.FLOAT, DataType.DOUBLE_ARRAY: DataType.DOUBLE,
    DataType.BOOLEAN_ARRAY: DataType.BOOLEAN, DataType.DATETIME_ARRAY: DataType.DATETIME,
    DataType.STRING_ARRAY: DataType.STRING,
}  # fmt: skip
plain_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[DataType, Any]:
    datatype = draw(st.sampled_from([*SCALARS, *sorted(ARRAYS), DataType.BYTES, DataType.DATASET]))
    if datatype in ARRAYS:
        item = NUMBER_ARRAYS[datatype]
        items = plain_texts if item is DataType.STRING else scalars_of(item)
        return datatype, tuple(draw(st.lists(items, max_size=9)))
    if datatype is DataType.BYTES:
        return datatype, draw(st.binary(max_size=20))
    if datatype is DataType.DATASET:
        kinds = tuple(draw(st.lists(st.sampled_from(SCALARS), min_size=1, max_size=4)))
        row = st.tuples(*(scalars_of(k) for k in kinds))
        return datatype, DataSet(
            tuple(draw(texts) for _ in kinds), kinds, tuple(draw(st.lists(row, max_size=3)))
        )
    return datatype, draw(scalars_of(datatype))


@st.composite
def properties(draw: st.DrawFn, depth: int = 2) -> PropertyValue:
    if depth and draw(st.booleans()):
        inner = draw(st.dictionaries(texts, properties(depth - 1), max_size=2))
        if draw(st.booleans()):
            return PropertyValue(DataType.PROPERTY_SET, inner)
        return PropertyValue(DataType.PROPERTY_SET_LIST, (inner,))
    datatype = draw(st.sampled_from(SCALARS))
    if draw(st.integers(0, 5)) == 0:
        return PropertyValue(datatype, None, is_null=True)
    return PropertyValue(datatype, draw(scalars_of(datatype)))


@st.composite
def metrics(draw: st.DrawFn, depth: int = 1) -> Metric:
    datatype, value = draw(typed_values())
    if depth and draw(st.integers(0, 9)) == 0:
        datatype = DataType.TEMPLATE
        value = Template(
            tuple(draw(st.lists(metrics(0), max_size=2))),
            (Parameter("p", DataType.INT16, -3), Parameter("q", DataType.TEXT, "x")),
            draw(st.none() | texts),
            draw(st.none() | texts),
            draw(st.booleans()),
        )
    null = draw(st.integers(0, 7)) == 0
    return Metric(
        name=draw(st.none() | texts),
        alias=draw(st.none() | u64),
        timestamp_ms=draw(st.none() | u64),
        datatype=datatype,
        value=None if null else value,
        is_null=null,
        is_historical=draw(st.booleans()),
        is_transient=draw(st.booleans()),
        properties=draw(st.dictionaries(texts, properties(), max_size=3)),
        metadata=draw(st.none() | st.binary(max_size=4)),
    )


payloads = st.builds(
    Payload,
    st.none() | u64,
    st.lists(metrics(), max_size=4).map(tuple),
    st.none() | st.integers(0, 255),
    st.none() | texts,
    st.none() | st.binary(max_size=8),
)


@given(payloads)
@settings(max_examples=80, deadline=None)
def test_what_is_encoded_comes_back(payload: Payload) -> None:
    assert decode(encode(payload)) == payload


@given(payloads)
@settings(max_examples=60, deadline=None)
def test_protocol_buffers_read_our_bytes_and_we_read_theirs(payload: Payload) -> None:
    ours = encode(payload)
    theirs = UPB["Payload"].FromString(ours)
    assert decode(theirs.SerializeToString()) == payload
    again = theirs.SerializeToString(deterministic=True)
    assert UPB["Payload"].FromString(again) == theirs
    assert len(theirs.metrics) == len(payload.metrics)
    for ours_, theirs_ in zip(payload.metrics, theirs.metrics, strict=True):
        assert theirs_.HasField("alias") == (ours_.alias is not None)
        assert not theirs_.HasField("alias") or theirs_.alias == ours_.alias
        if ours_.datatype is DataType.DOUBLE and not ours_.is_null:
            assert theirs_.double == ours_.value


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_either_decode_or_are_refused(data: bytes) -> None:
    try:
        decode(data)
    except PayloadError:
        return
    UPB["Payload"].FromString(data)


@given(payloads, st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_payloads_never_raise_anything_else(payload: Payload, data: st.DataObject) -> None:
    raw = bytearray(encode(payload))
    if not raw:
        return
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        decode(cut)
    except PayloadError:
        return
    try:
        UPB["Payload"].FromString(cut)
    except DecodeError as error:  # what protobuf refuses we may not take
        raise AssertionError("we accept what protocol buffers refuse") from error


def test_unknown_fields_are_skipped() -> None:
    extra = varint_field(77, 5) + bytes_field(78, b"abc") + encode_varint(79 << 3 | 1) + bytes(8)
    extra += (
        encode_varint(80 << 3 | 5)
        + bytes(4)
        + encode_varint(81 << 3 | 3)
        + varint_field(1, 1)
        + encode_varint(81 << 3 | 4)
    )
    metric = bytes_field(2, varint_field(2, 7) + extra + varint_field(10, 9))
    assert decode(extra + metric + varint_field(3, 4)) == Payload(
        None, (Metric(alias=7, value=9),), 4
    )


@pytest.mark.parametrize(
    ("datatype", "value", "wire"),
    [
        (DataType.INT8, -5, 0xFB), (DataType.INT16, -5, 0xFFFB), (DataType.INT32, -5, 0xFFFFFFFB),
        (DataType.INT64, -5, 2**64 - 5), (DataType.UINT16, 65535, 65535),
    ],
)  # fmt: skip
def test_negative_numbers_are_two_s_complement_of_their_width(
    datatype: DataType, value: int, wire: int
) -> None:
    raw = encode(Payload(metrics=(Metric(name="m", datatype=datatype, value=value),)))
    parsed = UPB["Payload"].FromString(raw).metrics[0]
    assert (parsed.long if datatype is DataType.INT64 else parsed.int) == wire
    assert as_type(wire, datatype) == value


def test_negative_numbers_of_encoders_that_fill_32_bits_are_understood() -> None:
    assert as_type(0xFFFFFFFB, DataType.INT8) == -5
    assert as_type(0xFFFFFFFB, DataType.INT16) == -5


def test_data_set_types_are_read_packed_and_unpacked() -> None:
    row = bytes_field(4, bytes_field(1, varint_field(1, 3)) + bytes_field(1, bytes_field(6, b"x")))
    names = varint_field(1, 2) + bytes_field(2, b"a") + bytes_field(2, b"b")
    expected = DataSet(("a", "b"), (DataType.INT32, DataType.STRING), ((3, "x"),))
    for types in (varint_field(3, 3) + varint_field(3, 12), bytes_field(3, b"\x03\x0c")):
        raw = bytes_field(2, varint_field(4, 16) + bytes_field(17, names + types + row))
        assert decode(raw).metrics[0].value == expected


def test_boolean_arrays_hold_their_length_and_bits_from_the_high_end() -> None:
    metric = Metric(datatype=DataType.BOOLEAN_ARRAY, value=(True, False, True, *[False] * 6))
    raw = encode(Payload(metrics=(metric,)))
    assert UPB["Payload"].FromString(raw).metrics[0].bytes == b"\x09\0\0\0\xa0\0"


def test_compressed_payloads_are_taken_within_a_limit() -> None:
    inner = Payload(5, (Metric(name="a", datatype=DataType.DOUBLE, value=1.5),), None)
    body = zlib.compress(encode(inner))
    outer = Payload(uuid="SPBV1.0_COMPRESSED", body=body, seq=9)
    assert decode(encode(outer)) == Payload(5, inner.metrics, 9)
    bomb = Payload(uuid="SPBV1.0_COMPRESSED", body=zlib.compress(bytes(10_000_000)))
    with pytest.raises(PayloadError, match="inflates beyond"):
        decode(encode(bomb))
    with pytest.raises(PayloadError, match="damaged"):
        decode(encode(Payload(uuid="SPBV1.0_COMPRESSED", body=b"nonsense")))


def test_size_and_nesting_have_limits() -> None:
    with pytest.raises(PayloadError, match="at most"):
        decode(bytes(101), PayloadLimits(payload_bytes=100))
    nested = PropertyValue(DataType.INT32, 1)
    for _ in range(12):
        nested = PropertyValue(DataType.PROPERTY_SET, {"k": nested})
    with pytest.raises(PayloadError, match="deep"):
        decode(encode(Payload(metrics=(Metric(properties={"k": nested}),))))


def test_a_property_set_with_more_keys_than_values_is_refused() -> None:
    with pytest.raises(PayloadError, match="2 keys and 1 values"):
        decode(
            bytes_field(
                2,
                bytes_field(
                    9,
                    bytes_field(1, b"a")
                    + bytes_field(1, b"b")
                    + bytes_field(2, varint_field(3, 1)),
                ),
            )
        )


def test_values_that_do_not_fit_their_type_are_refused() -> None:
    for value, datatype in ((300, DataType.UINT8), ("x", DataType.DOUBLE), (1, DataType.STRING)):
        with pytest.raises(PayloadError):
            encode(Payload(metrics=(Metric(datatype=datatype, value=value),)))


def test_types_can_be_left_out_of_data() -> None:
    metric = Metric(alias=3, timestamp_ms=4, datatype=DataType.INT16, value=-1)
    read = decode(encode(Payload(metrics=(metric,)), datatypes=False)).metrics[0]
    assert (read.datatype, read.value) == (None, 0xFFFF)
