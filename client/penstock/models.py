"""The models that the service offers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from penstock._base.call_info import CallInfo
from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.json_documents import WithExtra
from penstock._base.options import CallOptions, enum_name
from penstock._base.result import Items, Result
from penstock.v1.model_pb2 import (
    Capability,
    GetModelRequest,
    GetModelResponse,
    ListModelsRequest,
    ListModelsResponse,
)
from penstock.v1.model_pb2 import Model as ModelProto
from penstock.v1.model_pb2_grpc import ModelServiceStub


@dataclass(frozen=True, slots=True)
class Model(WithExtra):
    """A model that calls can name.

    Attributes:
        proto: the entry as it came.
    """

    proto: ModelProto

    @property
    def id(self) -> str:
        """The name."""
        return self.proto.id

    @property
    def capabilities(self) -> list[str]:
        """What it serves, as "chat" or "embedding"; empty if the upstream does not tell."""
        return [
            enum_name(Capability.DESCRIPTOR, one) or str(one) for one in self.proto.capabilities
        ]

    @property
    def max_model_len(self) -> int | None:
        """Most tokens of prompt and output together; None if the upstream does not tell."""
        return self.proto.max_model_len if self.proto.HasField("max_model_len") else None


class ModelList(Result[ListModelsResponse], Items[Model]):
    """Models, sorted by name; all pages as one."""

    @property
    def unreachable(self) -> Sequence[str]:
        """Upstreams that could not be asked, whose models are missing."""
        return self.proto.unreachable

    def _items(self) -> Sequence[Model]:
        return [Model(one) for one in self.proto.models]


class Models(Resource):
    """The models that the service offers."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = ModelServiceStub(caller.channel)

    def list(self, **options: Unpack[CallOptions]) -> ModelList:
        """Returns all models.

            >>> [model.id for model in client.models.list()]
            ['tiny-chat', 'tiny-chat-alias']

        Raises:
            CallError: the call ended with another status than OK.
        """
        pages, request = ListModelsResponse(), ListModelsRequest()
        while True:
            page = self._caller.call(self._stub.ListModels, request, options, ModelList)
            if not _add(pages, page):
                return ModelList(pages, page.call)
            request.page_token = page.proto.next_page_token

    def get(self, model: str = "", **options: Unpack[CallOptions]) -> Model:
        """Returns one model; without a name, the only one.

            >>> client.models.get("tiny-chat").max_model_len
            512

        Raises:
            NotFoundError: nobody serves a model of this name.
            CallError: the call ended with another status than OK.
        """
        request = GetModelRequest(model=model)
        return self._caller.call(self._stub.GetModel, request, options, _model)


class AsyncModels(AsyncResource):
    """As `Models`, awaited."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = ModelServiceStub(caller.channel)

    async def list(self, **options: Unpack[CallOptions]) -> ModelList:
        """As `Models.list`."""
        pages, request = ListModelsResponse(), ListModelsRequest()
        while True:
            page = await self._caller.call(self._stub.ListModels, request, options, ModelList)
            if not _add(pages, page):
                return ModelList(pages, page.call)
            request.page_token = page.proto.next_page_token

    async def get(self, model: str = "", **options: Unpack[CallOptions]) -> Model:
        """As `Models.get`."""
        request = GetModelRequest(model=model)
        return await self._caller.call(self._stub.GetModel, request, options, _model)


def _add(pages: ListModelsResponse, page: ModelList) -> bool:
    """Adds a page; tells whether there is another."""
    pages.models.extend(page.proto.models)
    pages.unreachable.extend(name for name in page.unreachable if name not in pages.unreachable)
    return bool(page.proto.next_page_token)


def _model(reply: GetModelResponse, call: CallInfo) -> Model:
    return Model(reply.model)
