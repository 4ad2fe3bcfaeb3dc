"""Raw output of pooling models: vectors per token, and model-specific forms."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.option_docs import documented
from penstock._base.options import build
from penstock._base.pooling import InputOptions, Inputs, as_inputs
from penstock._base.result import Items, ModelResult
from penstock.v1.pooling_pb2 import PoolRequest, PoolResponse
from penstock.v1.pooling_pb2_grpc import PoolingServiceStub
from penstock.vectors import Vector


@documented
class PoolOptions(InputOptions, total=False):
    """Options of pooling; see `PoolRequest` in `penstock.v1`.

    Attributes:
        task: task to compute, such as "embed" or "token_classify"; default: the task for which
            the model was loaded.
        dtype: number format, such as "float16"; default: "float32".
        plugin_data: input in a model-specific form, instead of `inputs`.
    """

    task: str | None
    dtype: str | None
    plugin_data: Any


class Pooled(ModelResult[PoolResponse], Items[Vector]):
    """Output, in the order of the inputs."""

    @property
    def plugin_data(self) -> Any:
        """Output in a model-specific form, if the request had `plugin_data`."""
        return json.loads(self.proto.plugin_data.json or "null")

    def _items(self) -> Sequence[Vector]:
        return self._vectors

    @cached_property
    def _vectors(self) -> list[Vector]:
        return [Vector.of(one, "vector") for one in self.proto.results]


class Pooler(Resource):
    """Runs pooling tasks."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = PoolingServiceStub(caller.channel)

    def __call__(self, inputs: Inputs = (), **options: Unpack[PoolOptions]) -> Pooled:
        """Returns the output of a pooling task for each input.

            >>> [vector] = client.pool("Say hello.")
            >>> vector
            <Vector float32 64>

        Args:
            inputs: texts, lists of token ids, or messages.
            **options: see `PoolOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        return self._caller.call(self._stub.Pool, _request(inputs, options), options, Pooled)


class AsyncPooler(AsyncResource):
    """Asynchronous counterpart of `Pooler`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = PoolingServiceStub(caller.channel)

    async def __call__(self, inputs: Inputs = (), **options: Unpack[PoolOptions]) -> Pooled:
        """See `Pooler`."""
        request = _request(inputs, options)
        return await self._caller.call(self._stub.Pool, request, options, Pooled)


def _request(inputs: Inputs, options: PoolOptions) -> PoolRequest:
    return build(PoolRequest, options, "options", inputs=as_inputs(inputs))
