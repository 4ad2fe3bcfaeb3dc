"""EmbeddingService: requests, valid answers and malformed answers."""

import math
import struct
from base64 import b64encode
from typing import Any

import grpc
import orjson
import pytest
from acceptance.refusals import refused
from acceptance.vectors import talks, texts, token_ids
from conftest import Serve
from documents import document, value_of
from grpc import aio

from penstock.channel import open_async_channel
from penstock.v1 import common_pb2
from penstock.v1.common_pb2 import EngineOptions, JsonDocument, PoolingOptions
from penstock.v1.embedding_pb2 import (
    CreateEmbeddingsRequest,
    CreateEmbeddingsResponse,
    LateChunkingOptions,
)
from penstock.v1.embedding_pb2_grpc import EmbeddingServiceStub
from penstock.v1.message_pb2 import ChatInput, Document, PoolingInput, TemplateOptions
from penstock_server.convert import embedding
from penstock_server.simulator import Simulator, SimulatorSettings

from .canned import canned, in_bytes, in_json

PATH = "/v1/embeddings"
NAN = math.nan
FLOAT16 = common_pb2.VECTOR_DTYPE_FLOAT16


def request(inputs: Any = None, **fields: Any) -> CreateEmbeddingsRequest:
    return CreateEmbeddingsRequest(inputs=inputs or texts("a", "b"), **fields)


def answer(*results: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return {"id": "embd-1", "created": 1, "model": "m", "data": list(results), "usage": usage}


def result(index: Any, vector: Any, **more: Any) -> dict[str, Any]:
    return {"index": index, "object": "embedding", "embedding": vector, **more}


def base64(*values: float) -> str:
    return b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


async def embed(channel: aio.Channel, asked: CreateEmbeddingsRequest) -> CreateEmbeddingsResponse:
    stub: Any = EmbeddingServiceStub(channel)
    made: CreateEmbeddingsResponse = await stub.CreateEmbeddings(asked)
    return made


BODIES: dict[str, tuple[CreateEmbeddingsRequest, dict[str, Any]]] = {
    "texts": (request(texts("a", "")), {"input": ["a", ""]}),
    "token ids": (request(token_ids([1, 2], [3])), {"input": [[1, 2], [3]]}),
    "a conversation": (
        request(talks("a"), template=TemplateOptions(add_generation_prompt=False)),
        {"messages": [{"role": "user", "content": "a"}], "add_generation_prompt": False},
    ),
    "conversations": (
        request(talks("a", "b")),
        {"messages": [[{"role": "user", "content": word}] for word in "ab"]},
    ),
    "options": (
        request(
            texts("a"),
            model="m",
            user="u",
            dimensions=0,
            options=PoolingOptions(
                truncate_prompt_tokens=-1,
                truncation_side=common_pb2.TRUNCATION_SIDE_LEFT,
                padding=common_pb2.PADDING_DO_NOT_PAD,
                add_special_tokens=False,
                use_activation=False,
            ),
            engine=EngineOptions(priority=0, cache_salt="s", request_id="r"),
        ),
        {
            "model": "m",
            "user": "u",
            "dimensions": 0,
            "input": ["a"],
            "truncate_prompt_tokens": -1,
            "truncation_side": "left",
            "padding": "do_not_pad",
            "add_special_tokens": False,
            "use_activation": False,
            "priority": 0,
            "cache_salt": "s",
        },
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_request_body(case: str) -> None:
    asked, expected = BODIES[case]
    encoding = {"encoding_format": "base64", "endianness": "little"}
    assert embedding.request_body(asked) == expected | encoding


@pytest.mark.parametrize(
    ("dtype", "name"), [(2, "float16"), (3, "bfloat16"), (4, "fp8_e4m3"), (5, "fp8_e5m2")]
)
def test_packed_formats_are_requested_as_bytes(dtype: Any, name: str) -> None:
    body = embedding.request_body(request(dtype=dtype))
    asked = {key: body[key] for key in ("encoding_format", "embed_dtype", "endianness")}
    assert asked == {"encoding_format": "bytes", "embed_dtype": name, "endianness": "little"}


def test_late_chunks_are_requested_as_numbers() -> None:
    body = embedding.request_body(request(late_chunking=LateChunkingOptions(chunk_size=3)))
    assert body["late_chunking_params"] == {"chunk_size": 3}
    assert body["encoding_format"] == "float"
    assert "endianness" not in body


def _extra(key: str) -> JsonDocument:
    return document({key: 1})


def _odd(enum: str) -> PoolingOptions:
    """Returns options with an unknown enum number."""
    options = PoolingOptions()
    setattr(options, enum, 9)
    return options


REFUSED = {
    "no input": (CreateEmbeddingsRequest(), "inputs"),
    "an empty input": (request([*texts("a"), PoolingInput()]), "inputs[1]"),
    "mixed kinds": (request([*texts("a"), *token_ids([1])]), "inputs[1]"),
    "mixed with a conversation": (request([*talks("a"), *texts("a")]), "inputs[1]"),
    "no token id": (request(token_ids([1], [])), "inputs[1].token_ids.ids"),
    "a negative token id": (request(token_ids([1, -1])), "inputs[0].token_ids.ids"),
    "no message": (
        request([PoolingInput(chat=ChatInput())]),
        "inputs[0].chat.messages",
    ),
    "unknown dtype": (request(dtype=99), "dtype"),
    "unknown side": (request(options=_odd("truncation_side")), "options.truncation_side"),
    "unknown padding": (request(options=_odd("padding")), "options.padding"),
    "empty chunks": (
        request(late_chunking=LateChunkingOptions(chunk_size=0)),
        "late_chunking.chunk_size",
    ),
    "packed chunks": (
        request(late_chunking=LateChunkingOptions(chunk_size=1), dtype=FLOAT16),
        "dtype",
    ),
    "too many packed": (request(texts(*["a"] * 513), dtype=FLOAT16), "inputs"),
    "template for texts": (
        request(template=TemplateOptions(add_special_tokens=True)),
        "template.add_special_tokens",
    ),
    "echo": (request(talks("a"), template=TemplateOptions(echo=False)), "template.echo"),
    "documents": (
        request(talks("a"), template=TemplateOptions(documents=[Document()])),
        "template.documents",
    ),
    "special tokens for token ids": (
        request(token_ids([1]), options=PoolingOptions(add_special_tokens=True)),
        "options.add_special_tokens",
    ),
    "special tokens for conversations": (
        request(talks("a"), options=PoolingOptions(add_special_tokens=True)),
        "options.add_special_tokens",
    ),
    "session": (request(engine=EngineOptions(session_id="s")), "engine.session_id"),
    "token ids requested": (
        request(engine=EngineOptions(return_token_ids=False)),
        "engine.return_token_ids",
    ),
    "removed parameter": (request(extra_body=_extra("activation")), "extra_body.activation"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused(case: str, channel: aio.Channel, simulator: Simulator) -> None:
    asked, field = REFUSED[case]
    found = await refused(embed(channel, asked))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert found.fields == (field,)
    assert not [one for one in simulator.requests if one.path == PATH]


COVERED = {
    "encoding_format": "dtype",
    "embed_dtype": "dtype",
    "endianness": "dtype",
    "late_chunking_params": "late_chunking",
    "input": "inputs",
    "add_special_tokens": "options.add_special_tokens",
    "chat_template": "template.chat_template",
}


@pytest.mark.parametrize("key", COVERED)
async def test_keys_that_a_field_covers(channel: aio.Channel, key: str) -> None:
    found = await refused(embed(channel, request(extra_body=_extra(key))))
    assert (found.reason, found.fields) == ("CONFLICTING_FIELDS", (f"extra_body.{key}",))
    assert f"use {COVERED[key]}" in found.message


FORMS = {
    "base64": (base64(1, NAN, -2.5), base64(0, 0.1, math.inf)),
    "numbers": ([1, None, -2.5], [0, 0.10000000149011612, 3.5e38]),
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_of_vectors(form: str) -> None:
    one, two = FORMS[form]
    # Results may be in any order.
    sent = in_json(answer(result(1, two), result(0, one)))
    async with canned(sent) as (channel, _):
        found = await embed(channel, request())
    assert [one.index for one in found.embeddings] == [0, 1]
    first, second = (list(one.float_vector.values) for one in found.embeddings)
    assert (first[0], first[2]) == (1, -2.5)
    assert math.isnan(first[1])
    assert second == [0, pytest.approx(0.1), math.inf]
    assert (found.id, found.model, found.create_time.seconds) == ("embd-1", "m", 1)
    assert found.usage.prompt_tokens == 5


# Answers, and whether their vectors go into the reply without a message for each.
IN_WIRE_FORM: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "base64": (answer(result(0, base64(1, 2)), result(1, base64(3, NAN))), {}, True),
    "in another order": (answer(result(1, base64(3, 4)), result(0, base64(1, 2))), {}, True),
    "without an index": (answer(result(None, base64(1)), result(None, base64(2))), {}, True),
    "long ones": (answer(*(result(i, base64(*[i] * 5000)) for i in range(300))), {}, True),
    "of the dimensions": (
        answer(result(0, base64(1, 2)), result(1, base64(3, 4))),
        {"dimensions": 2},
        True,
    ),
    "with unknown keys": (
        answer(result(0, base64(1), mood="calm"), result(1, base64(2))),
        {},
        False,
    ),
    "numbers": (answer(result(0, [1]), result(1, [2])), {}, False),
    "numbers and base64": (answer(result(0, base64(1)), result(1, [2])), {}, False),
}


@pytest.mark.parametrize(("data", "fields", "direct"), IN_WIRE_FORM.values(), ids=IN_WIRE_FORM)
def test_a_reply_is_its_message(data: dict[str, Any], fields: dict[str, Any], direct: bool) -> None:
    asked = request(texts(*["a"] * len(data["data"])), **fields)
    whole = embedding.response(data, asked)
    made = embedding.reply(data, asked)
    assert bool(made.embeddings) is not direct
    assert (made.model, made.usage) == (whole.model, whole.usage)
    # The bytes of the message: NaN differs from itself.
    sent = CreateEmbeddingsResponse.FromString(made.SerializeToString())
    assert sent.SerializeToString() == whole.SerializeToString()


async def test_nan_payloads_are_preserved() -> None:
    raw = struct.pack("<4I", 0x7FC00001, 0xFF800000, 0x80000000, 0x00000001)
    sent = in_json(answer(result(0, b64encode(raw).decode())))
    async with canned(sent) as (channel, _):
        found = await embed(channel, request(texts("a")))
    assert struct.pack("<4f", *found.embeddings[0].float_vector.values)[4:] == raw[4:]
    assert found.embeddings[0].float_vector.SerializeToString()[2:] == raw


async def test_unknown_keys_are_kept() -> None:
    known = answer(result(0, [1.0], note={"a": 1}, empty=None))
    async with canned(in_json({**known, "region": "x", "nothing": None})) as (channel, _):
        found = await embed(channel, request(texts("a")))
    assert value_of(found.extra) == {"region": "x"}
    assert value_of(found.embeddings[0].extra) == {"note": {"a": 1}}


async def test_late_chunks() -> None:
    chunks = [{"start": 0, "end": 3}, {"start": 3, "end": 5}]
    sent = answer(result(0, [[1.0, 2.0], [3.0, None]], late_chunking={"chunks": chunks}))
    async with canned(in_json(sent)) as (channel, upstream):
        asked = request(texts("a"), late_chunking=LateChunkingOptions(chunk_size=3))
        (found,) = (await embed(channel, asked)).embeddings
        assert upstream.bodies(PATH)[0]["late_chunking_params"] == {"chunk_size": 3}
    rows = [list(row.values) for row in found.multi_vector.vectors]
    assert rows[0] == [1, 2]
    assert rows[1][0] == 3
    assert math.isnan(rows[1][1])
    assert value_of(found.extra) == {"late_chunking": {"chunks": chunks}}


def metadata(*results: Any) -> Any:
    return answer(*({"embed_dtype": "float16", "endianness": "little"} | one for one in results))


async def test_packed() -> None:
    # The bytes may be in any order, too.
    places = ({"index": 1, "start": 0, "end": 4}, {"index": 0, "start": 4, "end": 8})
    sent = in_bytes(metadata(*({**place, "shape": [2]} for place in places)), b"abcdefgh")
    async with canned(sent) as (channel, _):
        found = await embed(channel, request(dtype=FLOAT16))
    assert [one.packed_vector.data for one in found.embeddings] == [b"efgh", b"abcd"]
    assert {one.packed_vector.dimensions for one in found.embeddings} == {2}


async def test_several_packed_vectors() -> None:
    place = {"index": 0, "start": 0, "end": 12, "shape": [3, 2]}
    async with canned(in_bytes(metadata(place), b"abcdefghijkl")) as (channel, _):
        (found,) = (await embed(channel, request(texts("a"), dtype=FLOAT16))).embeddings
    packed = found.packed_multi_vector
    assert (packed.rows, packed.dimensions, packed.data) == (3, 2, b"abcdefghijkl")


ONE = base64(1.0)
MALFORMED = {
    "no results": ({"id": "x"}, "no list of results"),
    "results of another kind": (answer() | {"data": {"0": 1}}, "no list of results"),
    "a result of another kind": (answer("x", "y"), "result 0 is not an object"),
    "one missing": (answer(result(1, ONE)), "1 results for 2 inputs, none for 0"),
    "all missing": (answer(), "0 results for 2 inputs"),
    "a duplicate": (answer(result(0, ONE), result(0, ONE)), "two results for input 0"),
    "out of range": (
        answer(result(0, ONE), result(2, ONE)),
        "index 2, out of range for 2 inputs",
    ),
    "negative": (answer(result(0, ONE), result(-1, ONE)), "index -1, out of range"),
    "one too many": (answer(*(result(i, ONE) for i in range(3))), "index 2, out of range"),
    "no index": (answer({"embedding": ONE}, result(1, ONE)), "result 0 has no integer index"),
    "index of another kind": (answer(result("first", ONE), result(1, ONE)), "no integer index"),
    "a boolean index": (answer(result(True, ONE), result(0, ONE)), "no integer index"),
    "no vector": (answer({"index": 0}, result(1, ONE)), "it lacks "),
    "null": (answer(result(0, None), result(1, ONE)), "neither text nor a list"),
    "an object": (answer(result(0, {}), result(1, ONE)), "neither text nor a list"),
    "not base64": (answer(result(0, "€"), result(1, ONE)), "wrong type"),
    "cut base64": (answer(result(0, ONE[:-3]), result(1, ONE)), "wrong type"),
    "cut numbers": (answer(result(0, "AAAAAAA="), result(1, ONE)), "5 bytes do not match float32"),
    "an empty text": (answer(result(0, ""), result(1, ONE)), "no values"),
    "an empty list": (answer(result(0, []), result(1, ONE)), "no values"),
    "words": (answer(result(0, ["x"]), result(1, ONE)), "wrong type"),
    "ragged rows": (answer(result(0, [[1.0], [1.0, 2.0]]), result(1, ONE)), "different lengths"),
    "rows and numbers": (answer(result(0, [[1.0], 2.0]), result(1, ONE)), "wrong type"),
    "usage of another kind": (
        answer(result(0, ONE), result(1, ONE)) | {"usage": 3},
        "wrong type",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_answer(case: str) -> None:
    sent, words = MALFORMED[case]
    async with canned(in_json(sent)) as (channel, _):
        found = await refused(embed(channel, request()))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INTERNAL,
        "UPSTREAM_MALFORMED_RESPONSE",
    )
    assert words in found.message


@pytest.mark.parametrize(
    ("fields", "field", "vector"),
    [
        ({"dimensions": 2}, "dimensions", ONE),
        ({"late_chunking": LateChunkingOptions(chunk_size=1)}, "late_chunking", [1.0]),
        ({"dtype": common_pb2.VECTOR_DTYPE_FP8_E4M3}, "dtype", [1.0]),
        ({"dtype": common_pb2.VECTOR_DTYPE_FP8_E5M2}, "dtype", ONE),
    ],
)
async def test_an_option_that_the_upstream_ignored(
    fields: dict[str, Any], field: str, vector: Any
) -> None:
    async with canned(in_json(answer(result(0, vector)))) as (channel, _):
        found = await refused(embed(channel, request(texts("a"), **fields)))
    assert (found.reason, found.fields) == ("UNSUPPORTED_OPERATION", (field,))
    assert "ignored" in found.message


NARROWED = [1.0, -0.5, 1e6, 1 / 3, None]
HALVES = {
    FLOAT16: struct.pack("<5e", 1.0, -0.5, math.inf, 1 / 3, math.nan),
    common_pb2.VECTOR_DTYPE_BFLOAT16: bytes.fromhex("803f00bf7449ab3ec07f"),
}


@pytest.mark.parametrize("dtype", HALVES)
async def test_floats_instead_of_half_floats(dtype: Any) -> None:
    async with canned(in_json(answer(result(0, NARROWED)))) as (channel, _):
        made = await embed(channel, request(texts("a"), dtype=dtype))
    packed = made.embeddings[0].packed_vector
    assert (packed.dtype, packed.dimensions, packed.data) == (dtype, 5, HALVES[dtype])


async def test_floats_in_any_form_instead_of_half_floats() -> None:
    rows = [[1.0, 2.0], [3.0, 4.0]]
    wanted = struct.pack("<4e", 1, 2, 3, 4)
    async with canned(in_json(answer(result(0, rows)))) as (channel, _):
        made = await embed(channel, request(texts("a"), dtype=FLOAT16))
    several = made.embeddings[0].packed_multi_vector
    assert (several.rows, several.dimensions, several.data) == (2, 2, wanted)
    raw = struct.pack("<4f", 1, 2, 3, 4)
    for body in (
        in_json(answer(result(0, b64encode(raw).decode()))),
        in_bytes(metadata(PLACE | {"end": 16, "shape": [4], "embed_dtype": "float32"}), raw),
    ):
        async with canned(body) as (channel, _):
            made = await embed(channel, request(texts("a"), dtype=FLOAT16))
        assert made.embeddings[0].packed_vector.data == wanted


@pytest.mark.parametrize("described", [{"endianness": "big"}, {"embed_dtype": "float64"}])
async def test_bytes_of_another_format(described: dict[str, Any]) -> None:
    async with canned(in_bytes(metadata(PLACE | described), b"abcd")) as (channel, _):
        found = await refused(embed(channel, request(texts("a"), dtype=FLOAT16)))
    assert (found.reason, found.fields) == ("UNSUPPORTED_OPERATION", ("dtype",))


PLACE = {"index": 0, "start": 0, "end": 4, "shape": [2]}
MALFORMED_BYTES = {
    "no header": (None, b"abcd", "it is empty"),
    "a header of another kind": (["x"], b"abcd", "not a JSON object"),
    "no results": ({"id": "x"}, b"abcd", "lacks the positions"),
    "no place": (metadata({"index": 0, "shape": [2]}), b"abcd", "lacks the positions"),
    "a place of another kind": (metadata(PLACE | {"start": "0"}), b"abcd", "lacks the positions"),
    "no shape": (metadata(PLACE | {"shape": None}), b"abcd", "wrong type"),
    "another shape": (metadata(PLACE | {"shape": [3]}), b"abcd", "4 bytes do not match float16"),
    "too many dimensions": (metadata(PLACE | {"shape": [1, 1, 2]}), b"abcd", "neither one nor two"),
    "too short": (metadata(PLACE), b"abc", "3 bytes do not match float16"),
    "one missing": (metadata(PLACE | {"index": 1}), b"abcd", "out of range for 1 inputs"),
    "an empty vector": (metadata(PLACE | {"end": 0, "shape": [0]}), b"", "no values"),
}


@pytest.mark.parametrize("case", MALFORMED_BYTES)
async def test_malformed_bytes(case: str) -> None:
    head, body, words = MALFORMED_BYTES[case]
    async with canned(in_bytes(head, body)) as (channel, _):
        found = await refused(embed(channel, request(texts("a"), dtype=FLOAT16)))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INTERNAL,
        "UPSTREAM_MALFORMED_RESPONSE",
    )
    assert words in found.message


def refusal_of(param: str) -> bytes:
    error = {"message": "no", "type": "BadRequestError", "param": param, "code": 400}
    return in_json({"error": error}, status="400 Bad Request")


@pytest.mark.parametrize(
    ("asked", "param", "forms"),
    [
        (request(), "encoding_format", ["base64", "float"]),
        (request(), "body.encoding_format", ["base64", "float"]),
        (request(), "input", ["base64"]),
        (request(dtype=FLOAT16), "encoding_format", ["bytes"]),
    ],
)
async def test_a_refused_encoding(asked: Any, param: str, forms: Any) -> None:
    async with canned(refusal_of(param)) as (channel, upstream):
        found = await refused(embed(channel, asked))
        sent = [body["encoding_format"] for body in upstream.bodies(PATH)]
        assert "endianness" not in upstream.bodies(PATH)[-1] or forms[-1] != "float"
    assert sent == forms
    assert found.reason == "UPSTREAM_REJECTED"


async def test_old_refusal_of_the_operation() -> None:
    words = "The model does not support Embeddings API"
    flat = {"object": "error", "message": words, "type": "BadRequestError", "code": 400}
    async with canned(in_json(flat)) as (channel, _):
        found = await refused(embed(channel, request()))
    assert (found.code, found.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "OPERATION_NOT_SUPPORTED",
    )


async def test_reply_of_exactly_the_limit() -> None:
    vectors = [result(i, [0.5] * 1000) for i in range(10)]
    asked = request(texts(*["a"] * 10))
    size = embedding.response(orjson.loads(orjson.dumps(answer(*vectors))), asked).ByteSize()
    for limit, fits in ((size, True), (size - 1, False)):
        sent = in_json(answer(*vectors))
        async with canned(sent, max_message_bytes=limit) as (channel, _):
            if fits:
                assert (await embed(channel, asked)).ByteSize() == size
                continue
            stub: Any = EmbeddingServiceStub(channel)
            call = stub.CreateEmbeddings(asked)
            found = await refused(call)
            trailers = dict(await call.trailing_metadata())
            assert found.reason == "REQUEST_TOO_LARGE"
            assert found.metadata == {"limitBytes": str(limit), "attempts": "1"}
            assert f"{size} bytes" in found.message
            assert trailers["grpc-retry-pushback-ms"] == "-1"


@pytest.mark.parametrize("fault", ["status;code=503", "error-in-200;code=503", "html"])
async def test_faults_of_the_upstream(serve: Serve, fault: str) -> None:
    settings = SimulatorSettings(listen="127.0.0.1:0", kind="embed", faults=fault)
    async with Simulator(settings) as upstream:
        service = await serve(upstream=(upstream.url,))
        async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
            found = await refused(embed(channel, request()))
    expected = "UPSTREAM_MALFORMED_RESPONSE" if fault == "html" else "UPSTREAM_UNAVAILABLE"
    assert found.reason == expected
