"""No request field of vLLM is lost: each has a home in our messages, or a reason to have none.

vLLM's own schema is checked in under tests/vllm/openapi; the tests of the vLLM tier compare it
with the schema of the running servers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from openapi_schema import CAPTURES, REFERENCE, captured

from penstock.v1 import (
    common_pb2,
    message_pb2,
)
from penstock_server.convert.fields import EXTRA_ONLY, HOMES, REQUESTS

NEWEST = CAPTURES.with_name("fields") / "0.33.0.json"
"""Fields that tests/vllm/source_fields.py found in the source of a version that is not run here."""

KINDS = tuple(sorted(path.stem for path in CAPTURES.glob("*.json")))

ALIASES = ("response", "/rerank")
ROUTES = {route: one.message for route, one in REQUESTS.items() if route not in ALIASES}

NOT_OURS: Mapping[str, str] = {
    "/rerank": "another path of /v1/rerank",
    "/v2/rerank": "another path of /v1/rerank",
    "/score": "another path of /v1/score",
    "/v2/embed": "Cohere's way to ask for embeddings",
    "/v1/messages": "Anthropic's way to ask for a chat completion",
    "/v1/messages/count_tokens": "Anthropic's way to tokenize",
    "/v1/chat/completions/batch": "several chats in one call, which are several calls here",
    "/generative_scoring": "experimental",
    **dict.fromkeys(
        (
            "/v1/chat/completions/render",
            "/v1/completions/render",
            "/v1/messages/render",
            "/v1/responses/render",
            "/v1/chat/completions/derender",
            "/v1/completions/derender",
        ),
        "steps of a chat on servers without an engine",
    ),
    "/v1/systemone": "experimental",
}
"""Routes that none of our operations uses, with the reason."""

HOMELESS: Mapping[str, Mapping[str, str]] = {
    "/inference/v1/generate": {
        "token_offsets": "of a renderer's answer; generation ignores it",
        "output_kind": "set by vLLM",
        "flat_logprobs": "vLLM's own form of log probabilities",
        "skip_clone": "vLLM's own note",
        "output_text_buffer_length": "vLLM's own note",
    },
    "/v1/responses": {
        "prompt": "stored prompts of OpenAI, which vLLM does not have",
        "enable_response_messages": "shows vLLM's inner messages, for its own debugging",
        "previous_input_messages": "of vLLM's own tests",
    },
}
"""Fields without a home, by route, with the reason; callers use `extra_body` for them."""


OTHER_KEYS: Mapping[str, str] = {
    "late_chunking_params": "in vllm_fields.py, which says from which version",
    "return_documents": "of other servers that rerank; our service adds the documents itself",
    "audio_filesize_mb": "how vLLM names a file that is too large",
    "max_tokens": "of transcriptions: the name of the limit in other operations",
}
"""Keys that have a home but are in no schema, with the reason."""


@dataclass(frozen=True)
class Inner:
    """The places of the fields of an object inside a chat request.

    Attributes:
        message: our message for the object.
        renamed: names of fields in it, if they differ.
        homeless: reasons why fields are not in it.
    """

    message: Descriptor
    renamed: Mapping[str, str] = field(default_factory=dict)
    homeless: Mapping[str, str] = field(default_factory=dict)


_BY_MEMBER = {"type": "follows from the member of the oneof"}
_MESSAGE = Inner(
    message_pb2.ChatMessage.DESCRIPTOR,
    homeless={
        "audio": "in ChatMessage.extra",
        "function_call": "in ChatMessage.extra; deprecated for tool_calls",
    },
)
_MEDIA = Inner(message_pb2.Media.DESCRIPTOR, {"format": "mime_type"})

INNER: Mapping[str, Inner] = {
    "StreamOptions": Inner(
        common_pb2.StreamOptions.DESCRIPTOR, homeless={"include_usage": "always on"}
    ),
    "StructuredOutputsParams": Inner(
        common_pb2.StructuredOutputs.DESCRIPTOR,
        {"json": "json_schema"},
        {"_backend": "vLLM's own note", "_backend_was_auto": "vLLM's own note"},
    ),
    "RepetitionDetectionParams": Inner(common_pb2.RepetitionDetection.DESCRIPTOR),
    "JsonSchemaResponseFormat": Inner(message_pb2.JsonSchemaFormat.DESCRIPTOR),
    "ChatCompletionToolsParam": Inner(
        message_pb2.Tool.DESCRIPTOR,
        homeless={**_BY_MEMBER, "defer_loading": "in FunctionDefinition.defer_loading"},
    ),
    "vllm__entrypoints__generate__base__protocol__FunctionDefinition": Inner(
        message_pb2.FunctionDefinition.DESCRIPTOR
    ),
    "ChatCompletionNamedFunction": Inner(
        message_pb2.ToolChoice.DESCRIPTOR, {"name": "function_name"}
    ),
    "ChatCompletionDeveloperMessageParam": _MESSAGE,
    "ChatCompletionSystemMessageParam": _MESSAGE,
    "ChatCompletionUserMessageParam": _MESSAGE,
    "ChatCompletionAssistantMessageParam": _MESSAGE,
    "ChatCompletionToolMessageParam": _MESSAGE,
    "ChatCompletionFunctionMessageParam": _MESSAGE,
    "CustomChatCompletionMessageParam": _MESSAGE,
    "ChatCompletionMessageFunctionToolCallParam": Inner(
        message_pb2.ToolCall.DESCRIPTOR, homeless=_BY_MEMBER
    ),
    "Function": Inner(message_pb2.FunctionCall.DESCRIPTOR),
    "CustomThinkCompletionContentParam": Inner(
        message_pb2.Thinking.DESCRIPTOR, {"thinking": "text"}, _BY_MEMBER
    ),
    "ImageURL": _MEDIA,
    "AudioURL": _MEDIA,
    "VideoURL": _MEDIA,
    "InputAudio": _MEDIA,
}
"""Objects inside a chat request, by the name of their schema."""

PARTS: Mapping[str, str] = {
    "ChatCompletionContentPartTextParam": "text",
    "ChatCompletionContentPartImageParam": "image",
    "CustomChatCompletionContentSimpleImageParam": "image",
    "ChatCompletionContentPartInputAudioParam": "audio",
    "ChatCompletionContentPartAudioParam": "audio",
    "CustomChatCompletionContentSimpleAudioParam": "audio",
    "ChatCompletionContentPartVideoParam": "video",
    "CustomChatCompletionContentSimpleVideoParam": "video",
    "ChatCompletionContentPartRefusalParam": "refusal",
    "CustomThinkCompletionContentParam": "thinking",
    "ChatCompletionContentPartImageEmbedsParam": "other",
    "ChatCompletionContentPartAudioEmbedsParam": "other",
    "ChatCompletionContentPartVideoEmbedsParam": "other",
    "ChatCompletionContentPartPromptEmbedsParam": "other",
    "CustomChatCompletionContentToolReferenceParam": "other",
    "File": "other",
}
"""The member of ContentPart for each kind of part, by the name of its schema."""


def test_there_are_schemas() -> None:
    assert {"chat", "embed", "rerank", "whisper"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_route_is_considered(kind: str) -> None:
    assert set(captured(kind)["paths"]) <= ROUTES.keys() | NOT_OURS.keys()


@pytest.mark.parametrize("route", ROUTES)
def test_every_field_has_a_home(route: str) -> None:
    given = fields(route)
    assert given, f"no kind of vLLM serves {route}"
    reasons = {**EXTRA_ONLY, **HOMELESS.get(route, {})}
    assert given - HOMES[route].keys() - reasons.keys() == set()


@pytest.mark.parametrize("route", ROUTES)
def test_every_field_of_the_newest_version_has_a_home(route: str) -> None:
    given = set(newest(route))
    assert given
    reasons = {**EXTRA_ONLY, **HOMELESS.get(route, {})}
    assert given - HOMES[route].keys() - reasons.keys() == set()


@pytest.mark.parametrize("route", ROUTES)
def test_every_home_belongs_to_a_key_of_vllm(route: str) -> None:
    known = fields(route) | set(newest(route))
    assert HOMES[route].keys() - known - OTHER_KEYS.keys() == set()


def test_every_reason_is_needed() -> None:
    homes = {key for route in ROUTES for key in HOMES[route]}
    assert OTHER_KEYS.keys() <= homes


@pytest.mark.parametrize("route", ROUTES)
def test_every_home_exists(route: str) -> None:
    lost = {key: home for key, home in HOMES[route].items() if not resolves(ROUTES[route], home)}
    assert lost == {}


@pytest.mark.parametrize("route", ROUTES)
def test_only_homeless_fields_have_a_reason(route: str) -> None:
    reasons = HOMELESS.get(route, {}).keys()
    assert reasons & HOMES[route].keys() == set()
    assert reasons <= fields(route)


@pytest.mark.parametrize("name", INNER)
def test_every_inner_field_has_a_home(name: str) -> None:
    inner = INNER[name]
    given = set(captured("chat")["schemas"][name]["properties"])
    homes = {inner.renamed.get(key, key) for key in given - inner.homeless.keys()}
    assert homes <= set(inner.message.fields_by_name)


def test_every_kind_of_part_has_a_member() -> None:
    schema = captured("chat")["schemas"]["CustomChatCompletionMessageParam"]
    named = set(references(schema["properties"]["content"]))
    assert named <= PARTS.keys()
    members = message_pb2.ContentPart.DESCRIPTOR.oneofs_by_name["part"].fields
    assert set(PARTS.values()) == {member.name for member in members}


def fields(route: str) -> set[str]:
    """Returns the fields that any kind of vLLM accepts on a route."""
    found: set[str] = set()
    for kind in KINDS:
        document = captured(kind)
        for name in references(document["paths"].get(route, {})):
            found.update(_keys(document["schemas"][name]))
    return found


def _keys(schema: Any) -> Iterator[str]:
    """Yields the keys of an object, and those of sampling parameters in it."""
    properties = schema["properties"]
    yield from properties
    yield from properties.get("sampling_params", {}).get("properties", {})


def newest(route: str) -> list[str]:
    """Returns the fields that the newest vLLM accepts on a route, from its source."""
    return list(json.loads(NEWEST.read_text(encoding="utf-8"))[route])


def references(node: Any) -> Iterator[str]:
    """Returns the names of the schemas that a schema refers to directly."""
    if isinstance(node, dict):
        if reference := node.get("$ref"):
            yield reference.removeprefix(REFERENCE)
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def resolves(message: Descriptor | None, path: str) -> bool:
    """Returns whether a path leads to a field; the empty one means the choice of RPC."""
    for name in filter(None, re.sub(r"\[\d+\]", "", path).split(".")):
        found = message.fields_by_name.get(name) if message else None
        if found is None:
            return False
        message = found.message_type
    return True
