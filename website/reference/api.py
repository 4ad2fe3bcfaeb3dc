"""The API reference: a page for each proto, from the comments in the descriptor set."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from website.markdown import cell, escaped, outside_code, unindented
from website.reference.errors import with_error_links

_PACKAGE = ".penstock.v1."
_PARAGRAPH = "\n\n"
_WELL_KNOWN = "https://protobuf.dev/reference/protobuf/google.protobuf/#"
_FIELD_OF_SYNTAX = 12
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_NAME = re.compile(r"\b([A-Z][a-z]+(?:[A-Z][A-Za-z0-9]*)+|[A-Z][A-Za-z0-9]+(?=\.[a-z]))(\.\w+)?")

Path = tuple[int, ...]


@dataclass(frozen=True)
class Proto:
    """A proto with its comments.

    Attributes:
        file: its descriptor.
        comments: the comment before each element, by the path of the element in the descriptor.
        names: the page of each service, message and enum of the API.
    """

    file: FileDescriptorProto
    comments: dict[Path, str]
    names: dict[str, str]

    def comment(self, *path: int) -> str:
        """Returns the comment of an element in Markdown, with links."""
        return self.linked(self.comments.get(path, ""))

    def linked(self, text: str) -> str:
        """Returns a comment in Markdown, with links to what it names."""
        text = outside_code(text, lambda part: _NAME.sub(self._link, escaped(part)))
        return with_error_links(text, "../../errors.md")

    def _link(self, match: re.Match[str]) -> str:
        name, member = match[1], (match[2] or "")
        if name not in self.names:
            return match[0]
        return f"[{match[0]}]({self.names[name]}#{name}{member})"

    def type(self, field: FieldDescriptorProto) -> str:
        """Returns the type of a field, with a link to that of a message or an enum."""
        if not field.type_name:
            return f"`{FieldDescriptorProto.Type.Name(field.type).removeprefix('TYPE_').lower()}`"
        if not field.type_name.startswith(_PACKAGE):
            name = field.type_name.removeprefix(".google.protobuf.")
            return f"[{name}]({_WELL_KNOWN}{name.lower()})"
        name = field.type_name.removeprefix(_PACKAGE)
        return f"[{name}]({self.names[name.partition('.')[0]]}#{name})"


def pages() -> Iterator[tuple[str, str]]:
    """Yields the pages of the reference: their paths in its folder and their contents."""
    protos = list(_protos())
    yield "index.md", _index(protos)
    for proto in protos:
        yield f"{PurePosixPath(proto.file.name).stem}.md", "\n\n".join([*_page(proto), ""])


def titles() -> list[tuple[str, str]]:
    """Returns the title and the path of each page, in order."""
    named = [PurePosixPath(proto.file.name) for proto in _protos()]
    return [("Overview", "index.md"), *((path.name, f"{path.stem}.md") for path in named)]


def _protos() -> Iterator[Proto]:
    content = (files("penstock") / "descriptors.binpb").read_bytes()
    ours = [
        file
        for file in FileDescriptorSet.FromString(content).file
        if file.name.startswith("penstock/")
    ]
    names = {name: f"{PurePosixPath(file.name).stem}.md" for file in ours for name in _names(file)}
    for file in sorted(ours, key=lambda file: (not file.service, file.name)):
        locations = file.source_code_info.location
        yield Proto(
            file, {tuple(one.path): unindented(one.leading_comments) for one in locations}, names
        )


def _names(file: FileDescriptorProto) -> Iterator[str]:
    yield from (one.name for one in file.service)
    yield from (one.name for one in file.message_type)
    yield from (one.name for one in file.enum_type)


def _index(protos: list[Proto]) -> str:
    (common,) = [proto for proto in protos if proto.file.name.endswith("common.proto")]
    rows = [
        f"| [{service.name}]({name}.md#{service.name}) | {_rpcs(service, name)} "
        f"| {cell(proto.comment(_SERVICES, number).partition(_PARAGRAPH)[0])} |"
        for proto in protos
        for number, service in enumerate(proto.file.service)
        for name in [PurePosixPath(proto.file.name).stem]
    ]
    # The headings of the comment start at the first level.
    text = re.sub("^#", "##", common.comment(_FIELD_OF_SYNTAX), flags=re.MULTILINE)
    lines = ["# API", "", "| service | RPCs | |", "| --- | --- | --- |", *rows, "", text]
    return "\n".join(lines)


def _rpcs(service: ServiceDescriptorProto, page: str) -> str:
    names = [rpc.name for rpc in service.method]
    return ", ".join(f"[{name}]({page}.md#{service.name}.{name})" for name in names)


def _page(proto: Proto) -> Iterator[str]:
    """Yields the paragraphs and tables of a page."""
    name = PurePosixPath(proto.file.name).name
    yield f"# {name}"
    yield "Package `penstock.v1`. [What all RPCs have in common](index.md#presence)."
    for number, service in enumerate(proto.file.service):
        yield from _service(proto, service, (_SERVICES, number))
    for number, message in enumerate(proto.file.message_type):
        yield from _message(proto, message, (_MESSAGES, number))
    for number, enum in enumerate(proto.file.enum_type):
        yield from _enum(proto, enum, (_ENUMS, number))


def _service(proto: Proto, service: ServiceDescriptorProto, path: Path) -> Iterator[str]:
    yield f"## {service.name} {{ #{service.name} }}"
    yield proto.comment(*path)
    for number, rpc in enumerate(service.method):
        request, response = (
            f"{'stream ' * streams}[{name}]({proto.names[name]}#{name})"
            for type_name, streams in (
                (rpc.input_type, rpc.client_streaming),
                (rpc.output_type, rpc.server_streaming),
            )
            for name in [type_name.removeprefix(_PACKAGE)]
        )
        yield f"### {rpc.name} {{ #{service.name}.{rpc.name} }}"
        yield f"{request} → {response}"
        yield proto.comment(*path, 2, number)


def _message(proto: Proto, message: DescriptorProto, path: Path, outer: str = "") -> Iterator[str]:
    if message.options.map_entry:
        return
    name = f"{outer}{message.name}"
    yield f"## {name} {{ #{name} }}"
    yield proto.comment(*path)
    if message.field:
        rows = [
            f"| `{field.name}`{{ #{name}.{field.name} }} | {_type(proto, message, field)} "
            f"| {_presence(message, field)} | {field.number} "
            f"| {cell(proto.comment(*path, 2, number))} |"
            for number, field in enumerate(message.field)
        ]
        head = ["| field | type | presence | number | |", "| --- | --- | --- | ---: | --- |"]
        yield "\n".join([*head, *rows])
    yield from _oneofs(proto, message, path, name)
    for number, nested in enumerate(message.nested_type):
        yield from _message(proto, nested, (*path, 3, number), f"{name}.")
    for number, enum in enumerate(message.enum_type):
        yield from _enum(proto, enum, (*path, 4, number), f"{name}.")


def _oneofs(proto: Proto, message: DescriptorProto, path: Path, name: str) -> Iterator[str]:
    """Yields the comments of the groups of fields of which one is set."""
    written = {field.oneof_index for field in message.field if not field.proto3_optional}
    for number, oneof in enumerate(message.oneof_decl):
        if number in written:
            anchor = f"{{ #{name}.{oneof.name} }}"
            yield f"`{oneof.name}`{anchor}: {proto.comment(*path, 8, number)}"


def _type(proto: Proto, message: DescriptorProto, field: FieldDescriptorProto) -> str:
    entries = {one.name: one for one in message.nested_type if one.options.map_entry}
    if (entry := entries.get(field.type_name.rpartition(".")[2])) is not None:
        key, value = entry.field
        return f"map of {proto.type(key)} to {proto.type(value)}"
    return proto.type(field)


def _presence(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """Returns how a field is present: words for those that differ from a plain value."""
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return "repeated"
    if field.proto3_optional:
        return "optional"
    if field.HasField("oneof_index"):
        return f"one of `{message.oneof_decl[field.oneof_index].name}`"
    return "optional" if field.type == FieldDescriptorProto.TYPE_MESSAGE else ""


def _enum(proto: Proto, enum: EnumDescriptorProto, path: Path, outer: str = "") -> Iterator[str]:
    name = f"{outer}{enum.name}"
    yield f"## {name} {{ #{name} }}"
    yield proto.comment(*path)
    rows = [
        f"| `{value.name}` | {value.number} | {cell(proto.comment(*path, 2, number))} |"
        for number, value in enumerate(enum.value)
    ]
    yield "\n".join(["| value | number | |", "| --- | ---: | --- |", *rows])
