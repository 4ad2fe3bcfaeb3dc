"""Reads the request fields of a vLLM from its source, for versions that do not run here.

python tests/vllm/source_fields.py vllm-0.33.0-….whl > tests/vllm/fields/0.33.0.json
"""

import ast
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from typing import TypeAlias

ROUTES: Mapping[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("ChatCompletionRequest",),
    "/v1/completions": ("CompletionRequest",),
    "/inference/v1/generate": ("GenerateRequest", "SamplingParams"),
    "/v1/responses": ("ResponsesRequest",),
    "/v1/embeddings": ("EmbeddingCompletionRequest", "EmbeddingChatRequest"),
    "/classify": ("ClassificationCompletionRequest", "ClassificationChatRequest"),
    "/pooling": ("PoolingCompletionRequest", "PoolingChatRequest", "IOProcessorRequest"),
    "/v1/score": (
        "ScoreTextRequest",
        "ScoreDataRequest",
        "ScoreQueriesDocumentsRequest",
        "ScoreQueriesItemsRequest",
    ),
    "/v1/rerank": ("RerankRequest",),
    "/v1/audio/transcriptions": ("TranscriptionRequest",),
    "/v1/audio/translations": ("TranslationRequest",),
    "/tokenize": ("TokenizeCompletionRequest", "TokenizeChatRequest"),
    "/detokenize": ("DetokenizeRequest",),
}
"""The classes of the requests of each route."""

Classes: TypeAlias = Mapping[str, ast.ClassDef]


def read(wheel: str) -> Classes:
    """Returns the classes of the modules that describe requests, by name."""
    found: dict[str, ast.ClassDef] = {}
    with zipfile.ZipFile(wheel) as opened:
        for name in opened.namelist():
            if _describes_requests(name):
                module = ast.parse(opened.read(name))
                found |= {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    return found


def _describes_requests(name: str) -> bool:
    of_route = name.startswith("vllm/entrypoints/") and name.endswith(("protocol.py", "base.py"))
    return of_route or name == "vllm/sampling_params.py"


def fields(classes: Classes, name: str) -> Iterator[str]:
    """Yields the public fields of a class and of those that it inherits from."""
    if name not in classes:
        return
    for base in classes[name].bases:
        yield from fields(classes, ast.unparse(base).partition("[")[0].rpartition(".")[2])
    for statement in classes[name].body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            annotation = ast.unparse(statement.annotation)
            if not statement.target.id.startswith("_") and not annotation.startswith("ClassVar"):
                yield statement.target.id


def main() -> None:
    """Writes the fields of each route."""
    classes = read(sys.argv[1])
    made = {
        route: sorted({field for name in names for field in fields(classes, name)})
        for route, names in ROUTES.items()
    }
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
