"""Values for the fields of requests, by their types."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from penstock.v1 import common_pb2 as common
from penstock.v1 import generation_pb2 as generation
from penstock.v1 import message_pb2 as message


def give(target: Message, path: list[str]) -> None:
    """Sets the field at a path to a value other than its default."""
    field = target.DESCRIPTOR.fields_by_name[path[0]]
    value = getattr(target, field.name)
    if path[1:]:
        give(value, path[1:])
    elif field.message_type and field.message_type.GetOptions().map_entry:
        key, entry = field.message_type.fields
        if entry.message_type:
            fill(value[_scalar(key)])
        else:
            value[_scalar(key)] = _scalar(entry)
    elif field.message_type:
        fill(value.add() if field.is_repeated else value)
    elif field.is_repeated:
        value.append(_scalar(field))
    else:
        setattr(target, field.name, _scalar(field))


def fill(target: Any) -> None:
    """Fills a message so that it can be sent."""
    match target:
        case common.JsonDocument():
            target.json = '{"a": 1}'
        case common.StructuredOutputs():
            target.regex = "a"
        case generation.ModalityFeatures():
            target.hashes.append("h")
            target.placeholders.add(length=1)
        case generation.PromptMedia():
            target.image.url = "https://host/a.png"
        case message.Tool():
            target.function.name = "f"
        case message.ToolChoice():
            target.mode = message.ToolChoice.MODE_AUTO
        case message.ResponseFormat():
            target.text.SetInParent()
        case message.Document():
            target.fields["title"] = "t"
        case _:
            target.SetInParent()


def _scalar(field: Any) -> Any:
    if field.enum_type:
        return field.enum_type.values[-1].number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"x"
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "x"
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return 0.5
    return True if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else 1
