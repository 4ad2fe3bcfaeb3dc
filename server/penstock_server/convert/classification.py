"""Classification."""

from collections.abc import Mapping
from typing import Any

from penstock.v1.classification_pb2 import Classification, ClassifyRequest, ClassifyResponse
from penstock_server import routes
from penstock_server.convert import batch, extra, option_messages, pooling_input
from penstock_server.convert.errors import MalformedAnswer, reads_answer
from penstock_server.json_numbers import integer, number

_RESULT_KEYS = frozenset({"index", "label", "probs", "num_classes"})


def request_body(request: ClassifyRequest) -> dict[str, Any]:
    """Returns the JSON of a request.

    Raises:
        InvalidRequest: a field is missing, faulty or contradicts another.
    """
    pooling_input.one_conversation(request.inputs)
    body = pooling_input.shared_body(request)
    body |= option_messages.scalars(request, "", skip=("extra_body",))
    return pooling_input.with_extra(routes.CLASSIFY, body, request)


@reads_answer
def response(data: Mapping[str, Any], request: ClassifyRequest) -> ClassifyResponse:
    """Returns the message for the answer to a request.

    Raises:
        MalformedAnswer: the answer does not have the API's shape.
    """
    answer = ClassifyResponse()
    pooling_input.fill_answer(answer, data)
    for index, result in enumerate(batch.in_order(data.get("data"), len(request.inputs))):
        _fill(answer.results.add(index=index), result)
    return answer


def _fill(target: Classification, result: Mapping[str, Any]) -> None:
    probs = result["probs"]
    target.probs.extend(number(prob) for prob in probs)
    classes = result.get("num_classes")
    target.num_classes = len(probs) if classes is None else integer(classes)
    if not probs or target.num_classes != len(probs):
        raise MalformedAnswer(f"{len(probs)} probabilities for {target.num_classes} classes")
    extra.fill(target, "label", result, extra.text)
    extra.keep(target, result, _RESULT_KEYS)
