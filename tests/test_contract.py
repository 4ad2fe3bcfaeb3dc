"""Conventions of the protos that buf does not check; protos/README.md has the reasons."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

import penstock.v1

PACKAGE = "penstock.v1"


def _files() -> dict[str, FileDescriptor]:
    modules = (one.name for one in pkgutil.iter_modules(penstock.v1.__path__))
    loaded = {
        name: importlib.import_module(f"{PACKAGE}.{name}")
        for name in modules
        if name.endswith("_pb2")
    }
    return {name.removesuffix("_pb2"): module.DESCRIPTOR for name, module in loaded.items()}


def _with_nested(message: Descriptor) -> Iterator[Descriptor]:
    yield message
    for inner in message.nested_types:
        yield from _with_nested(inner)


FILES = _files()
MESSAGES = {
    message.full_name.removeprefix(f"{PACKAGE}."): message
    for file in FILES.values()
    for outer in file.message_types_by_name.values()
    for message in _with_nested(outer)
}
FIELDS: Mapping[str, FieldDescriptor] = {
    f"{name}.{field.name}": field for name, message in MESSAGES.items() for field in message.fields
}

NAMES = frozenset(
    [
        "address",
        "call_id",
        "function_name",
        "hashes",
        "id",
        "item_id",
        "key",
        "model",
        "models",
        "name",
        "next_page_token",
        "owned_by",
        "page_token",
        "parent",
        "previous_response_id",
        "prompt_cache_key",
        "request_id",
        "response_id",
        "root",
        "path",
        "safety_identifier",
        "server_version",
        "session_id",
        "speaker",
        "system_fingerprint",
        "tool_call_id",
        "unreachable",
        "upstream",
        "upstreams",
        "user",
        "uuid",
        "version",
        "cache_salt",
        "filename",
    ]
)
"""Names, and opaque tokens that only their issuer reads."""

TEXTS = frozenset(
    [
        "arguments",
        "bad_words",
        "chat_template",
        "choices",
        "content",
        "decoded_token",
        "description",
        "encrypted_content",
        "grammar",
        "hotwords",
        "input_text",
        "instruction",
        "instructions",
        "json",
        "label",
        "certificate_problem",
        "last_error",
        "message",
        "model_list_oddities",
        "prompt",
        "prompt_text",
        "reasoning",
        "refusal",
        "regex",
        "srt",
        "stop",
        "stop_string",
        "suffix",
        "summary",
        "text",
        "token",
        "token_strings",
        "value",
        "vtt",
        "whitespace_pattern",
        "word",
    ]
)
"""Text that people, models and programs write, in any language."""

STANDARDS = {
    "language_code": "ISO 639-1",
    "target_language_code": "ISO 639-1",
    "mime_type": "IANA media types",
    "url": "RFC 3986",
}
"""Strings whose values a standard lists."""

OPEN_WORDS = {
    "code": "upstreams name their errors",
    "custom_role": "chat templates define roles",
    "effort": "models define them; three came within a year",
    "include": "the Responses API adds one with each tool",
    "incomplete_reason": "upstreams name reasons of their own",
    "native_finish_reason": "it is a name without a value in the enum",
    "phase": "models define them",
    "prompt_cache_retention": "providers define them; they are durations, too",
    "reason": "each new kind of failure adds one",
    "reasoning_effort": "models define them; three came within a year",
    "service_tier": "providers define them",
    "tags": "vLLM adds parts of an engine",
    "task": "chat templates define them",
}
"""Words from lists that others extend: an enum would refuse or hide a new one."""


@pytest.mark.parametrize("path", [p for p, f in FIELDS.items() if f.type == f.TYPE_STRING])
def test_every_string_has_a_reason(path: str) -> None:
    """For a new string field, decide whether it should be an enum, or add it to a group here."""
    name = path.rpartition(".")[2]
    groups = [group for group in (NAMES, TEXTS, STANDARDS, OPEN_WORDS) if name in group]
    assert len(groups) == 1


def test_the_groups_contain_only_fields() -> None:
    strings = {field.name for field in FIELDS.values() if field.type == field.TYPE_STRING}
    assert NAMES | TEXTS | STANDARDS.keys() | OPEN_WORDS.keys() == strings


@pytest.mark.parametrize("path", [path for path in FIELDS if "token_id" in path or "logit" in path])
def test_token_ids_have_one_type(path: str) -> None:
    field = FIELDS[path]
    if field.message_type and field.message_type.GetOptions().map_entry:
        field = field.message_type.fields_by_name["key"]
    if field.message_type:
        field = field.message_type.fields_by_name["ids"]
    # A question about them, or scores of them.
    if field.type not in (field.TYPE_BOOL, field.TYPE_BYTES):
        assert field.type == field.TYPE_INT32


def test_free_json_has_one_type() -> None:
    """Struct is used only inside JsonDocument, for callers that write small objects by hand."""
    found = [
        path
        for path, field in FIELDS.items()
        if field.message_type and field.message_type.file.name == "google/protobuf/struct.proto"
    ]
    assert found == ["JsonDocument.object"]
    assert {
        path: field.message_type.name
        for path, field in FIELDS.items()
        if field.name in ("extra", "extra_body", "other") and field.message_type
    }.items() <= dict.fromkeys(FIELDS, "JsonDocument").items()


@pytest.mark.parametrize("name", ["sampling", "options", "engine", "stream_options"])
def test_fields_that_requests_share_have_one_number(name: str) -> None:
    numbers = {field.number for path, field in FIELDS.items() if field.name == name}
    assert len(numbers) == 1


@pytest.mark.parametrize("kind", ["extra_body", "extra"])
def test_free_json_has_the_number_100(kind: str) -> None:
    assert {field.number for field in FIELDS.values() if field.name == kind} == {100}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("CreateChatCompletionRequest", "CreateCompletionRequest"),
        ("CreateChatCompletionRequest", "CreateResponseRequest"),
        ("CreateChatCompletionResponse", "StreamChatCompletionResponse"),
        ("CreateChatCompletionResponse", "CreateCompletionResponse"),
        ("CreateChatCompletionResponse", "ModelResponse"),
        ("CreateChatCompletionResponse", "CreateEmbeddingsResponse"),
        ("CreateChatCompletionResponse", "ClassifyResponse"),
        ("CreateChatCompletionResponse", "PoolResponse"),
        ("CreateChatCompletionResponse", "RerankResponse"),
        ("CreateChatCompletionResponse", "ScoreResponse"),
        ("CreateChatCompletionResponse", "TranscriptionDelta"),
        ("CreateCompletionResponse", "StreamCompletionResponse"),
        ("ChatChoice", "ChatChoiceDelta"),
        ("ChatChoice", "CompletionChoice"),
        ("CompletionChoice", "CompletionChoiceDelta"),
        ("CreateEmbeddingsRequest", "ClassifyRequest"),
        ("CreateEmbeddingsRequest", "PoolRequest"),
        ("RerankRequest", "ScoreRequest"),
    ],
)
def test_like_fields_of_sisters_have_one_number(first: str, second: str) -> None:
    """Gaps belong to fields of a sister message, so that a field can be added there later."""
    one, other = MESSAGES[first].fields_by_name, MESSAGES[second].fields_by_name
    apart = {"text", "messages"}
    common = {*one} & {*other} - apart
    assert common
    assert {n: one[n].number for n in common} == {n: other[n].number for n in common}


@pytest.mark.parametrize("name", FILES)
def test_generated_code_has_its_names(name: str) -> None:
    options = FILES[name].GetOptions()
    assert options.java_package == PACKAGE
    assert options.java_multiple_files
    outer = "".join(word.capitalize() for word in name.split("_")) + "Proto"
    assert options.java_outer_classname == outer
    assert options.csharp_namespace == "Penstock.V1"
    assert options.objc_class_prefix == "PNS"
    assert options.php_namespace == "Penstock\\V1"
    assert options.php_metadata_namespace == "Penstock\\V1\\GPBMetadata"
    assert options.ruby_package == "Penstock::V1"
    assert options.swift_prefix == "PenstockV1"
    # The module that Go imports is the consumer's own.
    assert not options.HasField("go_package")


STREAMED: Mapping[str, tuple[str, frozenset[str]]] = {
    "StreamChatCompletionResponse": (
        "CreateChatCompletionResponse",
        frozenset({"prompt_logprobs"}),
    ),
    "ChatChoiceDelta": ("ChatChoice", frozenset({"delta", "message"})),
    "StreamCompletionResponse": ("CreateCompletionResponse", frozenset()),
    "CompletionChoiceDelta": ("CompletionChoice", frozenset({"prompt_logprobs"})),
}
"""Messages of streams: the unary message, and the fields that only one of them has."""


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_has_the_fields_of_the_unary_answer(name: str) -> None:
    whole, different = STREAMED[name]
    assert {*MESSAGES[name].fields_by_name} ^ {*MESSAGES[whole].fields_by_name} == different
