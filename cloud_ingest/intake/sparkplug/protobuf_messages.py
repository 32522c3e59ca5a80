"""Sparkplug B payloads as protobuf message classes, built from the field table of the standard.

Field numbers and types: Sparkplug 3.0, chapter 6. proto2: repeated numbers are not packed (the
parser takes both). The classes are protobuf's C implementation (upb): they parse several times
faster than a codec in Python, which is what the cloud needs; the edge has its own small codec.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "quantrac.sparkplug"
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
    "float": _FIELD.TYPE_FLOAT,
    "double": _FIELD.TYPE_DOUBLE,
    "bool": _FIELD.TYPE_BOOL,
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
}

# message: fields as "number name:type", "*" repeated, "?" in the oneof "value"
_TABLE: dict[str, list[str]] = {
    "Payload": ["1 timestamp:uint64", "2 metrics:Metric*", "3 seq:uint64", "4 uuid:string",
                "5 body:bytes"],
    "Metric": ["1 name:string", "2 alias:uint64", "3 timestamp:uint64", "4 datatype:uint32",
               "5 is_historical:bool", "6 is_transient:bool", "7 is_null:bool",
               "8 metadata:MetaData", "9 properties:PropertySet", "10 int_value:uint32?",
               "11 long_value:uint64?", "12 float_value:float?", "13 double_value:double?",
               "14 boolean_value:bool?", "15 string_value:string?", "16 bytes_value:bytes?",
               "17 dataset_value:DataSet?", "18 template_value:Template?"],
    "MetaData": ["1 is_multi_part:bool", "2 content_type:string", "3 size:uint64", "4 seq:uint64",
                 "5 file_name:string", "6 file_type:string", "7 md5:string", "8 description:string"],
    "PropertySet": ["1 keys:string*", "2 values:PropertyValue*"],
    "PropertyValue": ["1 type:uint32", "2 is_null:bool", "3 int_value:uint32?",
                      "4 long_value:uint64?", "5 float_value:float?", "6 double_value:double?",
                      "7 boolean_value:bool?", "8 string_value:string?",
                      "9 propertyset_value:PropertySet?", "10 propertysets_value:PropertySetList?"],
    "PropertySetList": ["1 propertyset:PropertySet*"],
    "DataSetValue": ["1 int_value:uint32?", "2 long_value:uint64?", "3 float_value:float?",
                     "4 double_value:double?", "5 boolean_value:bool?", "6 string_value:string?"],
    "Row": ["1 elements:DataSetValue*"],
    "DataSet": ["1 num_of_columns:uint64", "2 columns:string*", "3 types:uint32*", "4 rows:Row*"],
    "Parameter": ["1 name:string", "2 type:uint32", "3 int_value:uint32?", "4 long_value:uint64?",
                  "5 float_value:float?", "6 double_value:double?", "7 boolean_value:bool?",
                  "8 string_value:string?"],
    "Template": ["1 version:string", "2 metrics:Metric*", "3 parameters:Parameter*",
                 "4 template_ref:string", "5 is_definition:bool"],
}  # fmt: skip


def _field(text: str) -> descriptor_pb2.FieldDescriptorProto:
    number, rest = text.split(" ", 1)
    name, kind = rest.rstrip("*?").split(":")
    field = _FIELD(name=name, number=int(number))
    field.label = _FIELD.LABEL_REPEATED if rest.endswith("*") else _FIELD.LABEL_OPTIONAL
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
    if rest.endswith("?"):
        field.oneof_index = 0
    return field


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="quantrac/sparkplug.proto", package=PACKAGE, syntax="proto2"
    )
    for name, fields in _TABLE.items():
        message = file.message_type.add(name=name)
        message.field.extend(_field(f) for f in fields)
        if any(f.endswith("?") for f in fields):
            message.oneof_decl.add(name="value")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _TABLE
    }


_CLASSES = _build()
Payload: Any = _CLASSES["Payload"]
Metric: Any = _CLASSES["Metric"]
PropertyValue: Any = _CLASSES["PropertyValue"]
