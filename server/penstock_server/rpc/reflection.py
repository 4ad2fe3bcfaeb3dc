"""Server reflection, v1 and v1alpha."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.rpc import error_details_pb2  # noqa: F401  its types must be in the pool for callers
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as V1ALPHA

V1 = "grpc.reflection.v1.ServerReflection"


class Symbols(ReflectionServicer):  # type: ignore[misc]
    """Finds all that has a name; grpcio's own finds no methods, fields and the like."""

    def _file_containing_symbol(self, request: Any, fully_qualified_name: str) -> Any:
        name = fully_qualified_name
        if not _is_known(name) and _has(*name.rpartition(".")[::2]):
            name = name.rpartition(".")[0]
        return super()._file_containing_symbol(request, name)


def _is_known(name: str) -> bool:
    try:
        descriptor_pool.Default().FindFileContainingSymbol(name)
    except KeyError:
        return False
    return True


def _has(owner: str, name: str) -> bool:
    """Whether a service has a method of a name, or a message or an enumeration such a part."""
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
    """Adds the description of v1 to those that callers can ask for; grpcio has only v1alpha's."""
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
    """Makes the services discoverable. v1 differs from v1alpha in nothing but its name."""
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
