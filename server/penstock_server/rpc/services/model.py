"""ModelService."""

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
from penstock_server.rpc.calls import Context, Rpc, upstream_call
from penstock_server.telemetry import events
from penstock_server.upstream import Call


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """Serves the models of the fleet, which are requested at each call."""

    def __init__(self, fleet: Fleet) -> None:
        """Serves from a fleet."""
        self._fleet = fleet

    async def ListModels(self, request: ListModelsRequest, context: Context) -> ListModelsResponse:
        """Lists the models of all upstreams that the caller may use."""
        page = model.Page(request)
        call = upstream_call(Rpc.of(context), "", EngineOptions())
        listing = await self._listing(call)
        models = [*_readable(listing, call)]
        answer = page.of(models)
        answer.unreachable.extend(listing.unreachable)
        return answer

    async def GetModel(self, request: GetModelRequest, context: Context) -> GetModelResponse:
        """Describes one model."""
        call = upstream_call(Rpc.of(context), request.model, EngineOptions())
        requested = self._fleet.public_model(call)
        listing = await self._listing(call, requested)
        entry, paths = listing.find(requested)
        return GetModelResponse(model=_shown(entry, paths, listing, call))

    async def _listing(self, call: Call, requested: str = "") -> ModelListing:
        """Returns the models that the caller may use, and the requested one, if there is one."""
        listing = await self._fleet.list_models(call)
        usable = [
            entry
            for entry in listing.entries
            # Its permission is checked already, by the name in the request; it may have others.
            if entry[0]["id"] == requested or call.may_use(entry[0]["id"])
        ]
        return replace(listing, entries=usable)


def _readable(listing: ModelListing, call: Call) -> Iterator[Model]:
    """Yields the messages for entries; skips and logs those that cannot be read."""
    for entry, paths in listing.entries:
        try:
            yield _shown(entry, paths, listing, call)
        except MalformedAnswer as error:
            events.MODEL_SKIPPED.log(
                request_id=call.request_id, model=entry["id"], reason=str(error)
            )


def _shown(
    entry: Mapping[str, Any], paths: Iterable[str] | None, listing: ModelListing, call: Call
) -> Model:
    """Returns the message for an entry, without a parent that the caller may not use."""
    shown = model.model(entry, paths)
    shown.asleep = entry["id"] in listing.asleep
    if shown.parent and not call.may_use(shown.parent):
        shown.ClearField("parent")
    return shown
