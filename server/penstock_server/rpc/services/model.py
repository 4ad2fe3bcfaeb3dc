"""ModelService."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from penstock.v1 import model_pb2_grpc
from penstock.v1.common_pb2 import EngineOptions
from penstock.v1.model_pb2 import (
    GetModelRequest,
    GetModelResponse,
    ListModelsRequest,
    ListModelsResponse,
    Model,
)
from penstock_server.convert import model
from penstock_server.convert.errors import MalformedAnswer
from penstock_server.fleet import Fleet, ModelListing
from penstock_server.rpc.calls import upstream_call
from penstock_server.upstream import Call

_log = logging.getLogger("penstock.rpc")


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """Serves the models of the fleet, asked for at each call."""

    def __init__(self, fleet: Fleet) -> None:
        """Takes the upstreams."""
        self._fleet = fleet

    async def ListModels(self, request: ListModelsRequest, context: Any) -> ListModelsResponse:
        """Lists the models of all upstreams, of those that the caller may use."""
        page = model.Page(request)
        call = upstream_call("", EngineOptions())
        listing = await self._listing(call)
        models = [*_readable(listing.entries, call)]
        answer = page.of(models)
        answer.unreachable.extend(listing.unreachable)
        return answer

    async def GetModel(self, request: GetModelRequest, context: Any) -> GetModelResponse:
        """Describes one model."""
        call = upstream_call(request.model, EngineOptions())
        meant = self._fleet.public_model(call)
        entry, paths = (await self._listing(call, meant)).find(meant)
        return GetModelResponse(model=_shown(entry, paths, call))

    async def _listing(self, call: Call, meant: str = "") -> ModelListing:
        """Returns the models that the caller may use, of which one is meant."""
        listing = await self._fleet.list_models(call)
        usable = [
            entry
            for entry in listing.entries
            # The name that was asked for decides: it may be another one of this model.
            if entry[0]["id"] == meant or call.may_use(entry[0]["id"])
        ]
        return replace(listing, entries=usable)


def _readable(
    entries: Iterable[tuple[Mapping[str, Any], Iterable[str] | None]], call: Call
) -> Iterator[Model]:
    """Yields the messages for entries, less those that cannot be read: others are not to blame."""
    for entry, paths in entries:
        try:
            yield _shown(entry, paths, call)
        except MalformedAnswer as error:
            fields = {"request_id": call.request_id, "model": entry["id"], "reason": str(error)}
            _log.warning("model left out", extra={"fields": fields})


def _shown(entry: Mapping[str, Any], paths: Iterable[str] | None, call: Call) -> Model:
    """Returns the message for an entry, less what is not for the caller."""
    shown = model.model(entry, paths)
    if shown.parent and not call.may_use(shown.parent):
        shown.ClearField("parent")
    return shown
