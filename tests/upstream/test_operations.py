"""Every operation is known wherever operations are listed."""

from collections.abc import Mapping

from penstock_server import routes
from penstock_server.convert.fields import CONVERTED, REQUESTS
from penstock_server.convert.model import CAPABILITIES
from penstock_server.rpc.services.registry import SERVICES
from penstock_server.upstream import operations
from penstock_server.upstream.operations import ALL_OPERATIONS, RESPONSE, Operation

NAMELESS: Mapping[str, str] = {
    routes.RESPONSES: "a model that serves chats serves responses",
    routes.DETOKENIZE: "comes with tokenization",
    routes.TRANSLATIONS: "comes with transcription",
}
"""Routes without a capability of their own, and why."""


def test_every_operation_is_in_the_list() -> None:
    declared = {one for one in vars(operations).values() if isinstance(one, Operation)}
    # It is requested as a chat, by the route of chats.
    assert declared - {RESPONSE} == set(ALL_OPERATIONS)


def test_every_operation_takes_a_request() -> None:
    paths = {operation.path for operation in ALL_OPERATIONS}
    assert paths == REQUESTS.keys() - {CONVERTED, routes.RERANK_UNVERSIONED}


def test_every_operation_is_a_capability() -> None:
    paths = {operation.path for operation in ALL_OPERATIONS}
    assert paths - CAPABILITIES.keys() == NAMELESS.keys()


def test_every_operation_of_a_service_is_in_the_list() -> None:
    needed = {entry.operation for entry in SERVICES.values()} - {None, RESPONSE}
    assert needed <= set(ALL_OPERATIONS)
