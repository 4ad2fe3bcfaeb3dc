"""Server reflection, v1 and v1alpha."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.rpc import error_details_pb2  # noqa: F401  puts its types into the pool for callers
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as V1ALPHA

V1 = "grpc.reflection.v1.ServerReflection"


class Symbols(ReflectionServicer):  # type: ignore[misc]
    """Finds every symbol, and adds JSON names to fields.

    grpcio's own servicer does not find methods, fields and enum values. Generated Python code has
    descriptors without JSON names, and callers such as grpcurl 1.8 then print the protos' names.
    """

    def _file_by_filename(self, request: Any, filename: str) -> Any:
        return _with_json_names(super()._file_by_filename(request, filename))

    def _file_containing_symbol(self, request: Any, fully_qualified_name: str) -> Any:
        name = fully_qualified_name
        if not _is_known(name) and _has(*name.rpartition(".")[::2]):
            name = name.rpartition(".")[0]
        return _with_json_names(super()._file_containing_symbol(request, name))


def _with_json_names(answer: Any) -> Any:
    """Adds JSON names to the files of an answer, if it has files."""
    if answer.HasField("file_descriptor_response"):
        files = answer.file_descriptor_response.file_descriptor_proto
        files[:] = [_file_with_json_names(file) for file in files]
    return answer


@cache  # The number of files is small and fixed.
def _file_with_json_names(serialized: bytes) -> bytes:
    file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
    known = descriptor_pool.Default().FindFileByName(file.name)
    for message in file.message_type:
        _name_fields(message, known.message_types_by_name[message.name])
    return file.SerializeToString()


def _name_fields(message: Any, known: Any) -> None:
    for field in message.field:
        field.json_name = known.fields_by_name[field.name].json_name
    for nested in message.nested_type:
        _name_fields(nested, known.nested_types_by_name[nested.name])


def _is_known(name: str) -> bool:
    try:
        descriptor_pool.Default().FindFileContainingSymbol(name)
    except KeyError:
        return False
    return True


def _has(owner: str, name: str) -> bool:
    """Returns whether a service, message or enum has a member of a name."""
    pool = descriptor_pool.Default()
    parts = (
        (pool.FindServiceByName, "methods_by_name"),
        (pool.FindMessageTypeByName, "fields_by_name"),
        (pool.FindMessageTypeByName, "oneofs_by_name"),
        (pool.FindEnumTypeByName, "values_by_name"),
    )
    for find, named in parts:
        with suppress(KeyError):
            if name in getattr(find(owner), named):
                return True
    return False


def _declare_v1() -> None:
    """Adds the descriptor of v1 to the pool; grpcio has only that of v1alpha."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileContainingSymbol(V1)
    except KeyError:
        described = descriptor_pb2.FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(described)
        text = text_format.MessageToString(described).replace("v1alpha", "v1")
        file = text_format.Parse(text, descriptor_pb2.FileDescriptorProto())
        pool.AddSerializedFile(file.SerializeToString())


def add_reflection(server: aio.Server, services: Sequence[str]) -> None:
    """Serves reflection on the services; v1 differs from v1alpha only by its name."""
    _declare_v1()
    servicer = Symbols([*services, V1, V1ALPHA])
    for name in (V1, V1ALPHA):
        method = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
        server.add_generic_rpc_handlers((handler,))
