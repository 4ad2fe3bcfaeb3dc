"""Every operation is known wherever operations are listed."""

import importlib
import pkgutil
from collections.abc import Mapping

import penstock.v1
from penstock_server import routes
from penstock_server.convert.fields import CONVERTED, REQUESTS
from penstock_server.convert.model import CAPABILITIES
from penstock_server.rpc.services.registry import SERVICES
from penstock_server.upstream import operations
from penstock_server.upstream.operations import ALL_OPERATIONS, RESPONSE, Operation

NAMELESS: Mapping[str, str] = {
    routes.RESPONSES: "a model that serves chats serves responses",
    routes.DETOKENIZE: "comes with tokenization",
    routes.REALTIME: "vLLM does not list it",
    routes.TRANSLATIONS: "comes with transcription",
}
"""Routes without their own capability, and why."""


def test_every_operation_is_in_the_list() -> None:
    declared = {one for one in vars(operations).values() if isinstance(one, Operation)}
    # It is requested as a chat, by the route of chats.
    assert declared - {RESPONSE} == set(ALL_OPERATIONS)


def test_every_operation_has_a_request() -> None:
    # The first event of a websocket has one key.
    paths = {operation.path for operation in ALL_OPERATIONS if not operation.sign}
    assert paths == REQUESTS.keys() - {CONVERTED, routes.RERANK_UNVERSIONED}


def test_every_operation_is_a_capability() -> None:
    paths = {operation.path for operation in ALL_OPERATIONS}
    assert paths - CAPABILITIES.keys() == NAMELESS.keys()


def test_every_operation_of_a_service_is_in_the_list() -> None:
    needed = {entry.operation for entry in SERVICES.values()} - {None, RESPONSE}
    assert needed <= set(ALL_OPERATIONS)


def test_every_service_of_the_contract_is_registered() -> None:
    modules = (importlib.import_module(f"penstock.v1.{one}") for one in _modules())
    declared = {
        service.full_name
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
    }
    # It has its own listener.
    assert declared - {"penstock.v1.AdminService"} == SERVICES.keys()


def _modules() -> list[str]:
    names = (one.name for one in pkgutil.iter_modules(penstock.v1.__path__))
    return [name for name in names if name.endswith("_pb2")]
