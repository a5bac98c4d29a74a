"""The protobuf messages of Prometheus remote write 1.0, defined at run time, so that no code has to be generated."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "fastload.prometheus"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "double": _Field.TYPE_DOUBLE,
    "int64": _Field.TYPE_INT64,
    "sint64": _Field.TYPE_SINT64,
    "sint32": _Field.TYPE_SINT32,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "string": _Field.TYPE_STRING,
}
# {message: {field: (number, type, repeated)}}, from prometheus/prompb, without the fields that fastload does not send.
_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Label": {"name": (1, "string", False), "value": (2, "string", False)},
    "Sample": {"value": (1, "double", False), "timestamp": (2, "int64", False)},
    "BucketSpan": {"offset": (1, "sint32", False), "length": (2, "uint32", False)},
    "Histogram": {
        "count_int": (1, "uint64", False),
        "sum": (3, "double", False),
        "schema": (4, "sint32", False),
        "zero_threshold": (5, "double", False),
        "zero_count_int": (6, "uint64", False),
        "positive_spans": (11, "BucketSpan", True),
        "positive_deltas": (12, "sint64", True),
        "timestamp": (15, "int64", False),
    },
    "TimeSeries": {
        "labels": (1, "Label", True),
        "samples": (2, "Sample", True),
        "histograms": (4, "Histogram", True),
    },
    "WriteRequest": {"timeseries": (1, "TimeSeries", True)},
}
# Fields of a oneof: they are written even if they are 0.
_EXPLICIT = frozenset(("count_int", "zero_count_int"))


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="fastload/remote_write.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind, repeated) in fields.items():
            field = message.field.add(
                name=field_name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            )
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            if field_name in _EXPLICIT:
                field.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"of_{field_name}")
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


BucketSpan = _class("BucketSpan")
HistogramMessage = _class("Histogram")
Label = _class("Label")
Sample = _class("Sample")
TimeSeries = _class("TimeSeries")
WriteRequest = _class("WriteRequest")
