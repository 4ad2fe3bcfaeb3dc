"""Models that the service offers."""

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
    """A model that calls can use.

    Attributes:
        proto: the entry as received.
    """

    proto: ModelProto

    @property
    def id(self) -> str:
        """Name of the model."""
        return self.proto.id

    @property
    def capabilities(self) -> list[str]:
        """Supported tasks, such as "chat" or "embedding"; empty if not reported."""
        return [
            enum_name(Capability.DESCRIPTOR, one) or str(one) for one in self.proto.capabilities
        ]

    @property
    def asleep(self) -> bool:
        """Whether only engines that are asleep have the model, so that calls fail or wake one."""
        return self.proto.asleep

    @property
    def max_model_len(self) -> int | None:
        """Maximum number of tokens in prompt and output together; None if not reported."""
        return self.proto.max_model_len if self.proto.HasField("max_model_len") else None


class ModelList(Result[ListModelsResponse], Items[Model]):
    """Models, sorted by name, from all pages."""

    @property
    def unreachable(self) -> Sequence[str]:
        """Upstreams that could not be reached, whose models are missing."""
        return self.proto.unreachable

    def _items(self) -> Sequence[Model]:
        return [Model(one) for one in self.proto.models]


class Models(Resource):
    """Models that the service offers."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = ModelServiceStub(caller.channel)

    def list(self, **options: Unpack[CallOptions]) -> ModelList:
        """Returns all models.

            >>> [model.id for model in client.models.list()]
            ['tiny-chat', 'tiny-chat-alias']

        Raises:
            CallError: the call ended with a status other than OK.
        """
        pages, request = ListModelsResponse(), ListModelsRequest()
        while True:
            page = self._caller.call(self._stub.ListModels, request, options, ModelList)
            if not _add(pages, page):
                return ModelList(pages, page.call)
            request.page_token = page.proto.next_page_token

    def get(self, model: str = "", **options: Unpack[CallOptions]) -> Model:
        """Returns one model; without a name, the only model.

            >>> client.models.get("tiny-chat").max_model_len
            512

        Raises:
            NotFoundError: no upstream serves a model of this name.
            CallError: the call ended with a status other than OK.
        """
        request = GetModelRequest(model=model)
        return self._caller.call(self._stub.GetModel, request, options, _model)


class AsyncModels(AsyncResource):
    """Asynchronous counterpart of `Models`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = ModelServiceStub(caller.channel)

    async def list(self, **options: Unpack[CallOptions]) -> ModelList:
        """See `Models.list`."""
        pages, request = ListModelsResponse(), ListModelsRequest()
        while True:
            page = await self._caller.call(self._stub.ListModels, request, options, ModelList)
            if not _add(pages, page):
                return ModelList(pages, page.call)
            request.page_token = page.proto.next_page_token

    async def get(self, model: str = "", **options: Unpack[CallOptions]) -> Model:
        """See `Models.get`."""
        request = GetModelRequest(model=model)
        return await self._caller.call(self._stub.GetModel, request, options, _model)


def _add(pages: ListModelsResponse, page: ModelList) -> bool:
    """Adds a page; returns whether another page follows."""
    pages.models.extend(page.proto.models)
    pages.unreachable.extend(name for name in page.unreachable if name not in pages.unreachable)
    return bool(page.proto.next_page_token)


def _model(reply: GetModelResponse, call: CallInfo) -> Model:
    return Model(reply.model)
