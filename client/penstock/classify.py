"""Classification of texts and media."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from penstock._base.caller import AsyncCaller, AsyncResource, Caller, Resource
from penstock._base.json_documents import WithExtra
from penstock._base.options import build
from penstock._base.pooling import InputOptions, Inputs, as_inputs
from penstock._base.result import Items, ModelResult
from penstock.v1.classification_pb2 import Classification as ClassificationProto
from penstock.v1.classification_pb2 import ClassifyRequest, ClassifyResponse
from penstock.v1.classification_pb2_grpc import ClassificationServiceStub


@dataclass(frozen=True, slots=True)
class Classification(WithExtra):
    """The class of one input.

    Attributes:
        proto: the result as received.
    """

    proto: ClassificationProto

    @property
    def label(self) -> str:
        """Name of the most likely class; empty if the model does not name its classes."""
        return self.proto.label

    @property
    def probs(self) -> Sequence[float]:
        """Probability of each class."""
        return self.proto.probs


class Classifications(ModelResult[ClassifyResponse], Items[Classification]):
    """Classification results, in the order of the inputs."""

    def _items(self) -> Sequence[Classification]:
        return [Classification(one) for one in self.proto.results]


class Classifier(Resource):
    """Classifies inputs."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._stub = ClassificationServiceStub(caller.channel)

    def __call__(self, inputs: Inputs, **options: Unpack[InputOptions]) -> Classifications:
        """Classifies each input.

            >>> [one] = client.classify("What a day!")
            >>> round(sum(one.probs), 3)
            1.0

        Args:
            inputs: texts, lists of token ids, or messages.
            **options: see `InputOptions`.

        Raises:
            CallError: the call ended with a status other than OK.
        """
        request = _request(inputs, options)
        return self._caller.call(self._stub.Classify, request, options, Classifications)


class AsyncClassifier(AsyncResource):
    """Asynchronous counterpart of `Classifier`."""

    def __init__(self, caller: AsyncCaller) -> None:
        super().__init__(caller)
        self._stub = ClassificationServiceStub(caller.channel)

    async def __call__(self, inputs: Inputs, **options: Unpack[InputOptions]) -> Classifications:
        """See `Classifier`."""
        request = _request(inputs, options)
        return await self._caller.call(self._stub.Classify, request, options, Classifications)


def _request(inputs: Inputs, options: InputOptions) -> ClassifyRequest:
    return build(ClassifyRequest, options, "options", inputs=as_inputs(inputs))
