"""POST /classify."""

from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.http.errors import detail
from penstock_server.simulator.http.requests import Request
from penstock_server.simulator.http.validation import Kind, Mistyped
from penstock_server.simulator.pooling.request import prepare
from penstock_server.simulator.pooling.vectors import class_scores
from penstock_server.simulator.state import State


async def create(request: Request, state: State) -> Answer:
    """Classifies each input."""
    try:
        kinds: dict[str, Kind] = {} if state.dialect.classifies_tokens else {"input": _texts}
        pooling = prepare(request, state, "classify", kinds)
    except UnicodeDecodeError:
        return detail(400, "There was an error parsing the body")
    labels = labels_of(state)
    results = []
    for index, tokens in enumerate(pooling.inputs):
        probs = class_scores(tokens, len(labels), normal=pooling.normal)
        label = labels[probs.index(max(probs))]
        classes = {"label": label, "probs": probs, "num_classes": len(labels)}
        results.append({"index": index, **classes})
    return Answer.of_json(pooling.document(results))


def _texts(value: Json) -> Json:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise Mistyped("string_type", "Input should be a valid string")
    return value


def labels_of(state: State) -> tuple[str, ...]:
    """Returns the names of the classes; a reranker is a classifier with one class."""
    single = state.settings.kind == "rerank"
    return ("LABEL_0",) if single else ("NEGATIVE", "NEUTRAL", "POSITIVE")
