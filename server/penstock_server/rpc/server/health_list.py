"""Health.List, which grpcio-health-checking has from 1.84 on."""

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

_FILE = f"""
name: "penstock/health_list.proto"
package: "grpc.health.v1"
syntax: "proto3"
dependency: "{health_pb2.DESCRIPTOR.name}"
message_type {{ name: "HealthListRequest" }}
message_type {{
  name: "HealthListResponse"
  field {{
    name: "statuses" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
    type_name: ".grpc.health.v1.HealthListResponse.StatusesEntry"
  }}
  nested_type {{
    name: "StatusesEntry"
    options {{ map_entry: true }}
    field {{ name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }}
    field {{
      name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE
      type_name: ".grpc.health.v1.HealthCheckResponse"
    }}
  }}
}}
"""


def _message(name: str) -> Any:
    """Returns a message type of List, from the library or from the description above."""
    pool = descriptor_pool.Default()
    full_name = f"grpc.health.v1.{name}"
    try:
        described = pool.FindMessageTypeByName(full_name)
    except KeyError:
        file = text_format.Parse(_FILE, descriptor_pb2.FileDescriptorProto())
        pool.AddSerializedFile(file.SerializeToString())
        described = pool.FindMessageTypeByName(full_name)
    return message_factory.GetMessageClass(described)


HealthListRequest = _message("HealthListRequest")
HealthListResponse = _message("HealthListResponse")


def add_health(server: aio.Server, servicer: Any) -> None:
    """Serves health, with List whatever the release of the library."""
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    listing = grpc.unary_unary_rpc_method_handler(
        servicer.List,
        request_deserializer=HealthListRequest.FromString,
        response_serializer=HealthListResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(HEALTH, {"List": listing})
    server.add_generic_rpc_handlers((handler,))
