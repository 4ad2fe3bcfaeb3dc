"""PoolingService: requests, valid answers and malformed answers."""

import json
import math
import struct
from typing import Any

import grpc
import orjson
import pytest
from acceptance.refusals import refused
from acceptance.vectors import talks, texts, token_ids
from documents import document, value_of
from grpc import aio

from penstock.v1 import common_pb2, pooling_pb2
from penstock.v1.common_pb2 import EngineOptions, JsonDocument, PoolingOptions
from penstock.v1.message_pb2 import TemplateOptions
from penstock.v1.pooling_pb2 import PoolRequest, PoolResponse
from penstock.v1.pooling_pb2_grpc import PoolingServiceStub
from penstock_server.convert import pooling

from .canned import canned, in_bytes, in_json

FLOAT16 = common_pb2.VECTOR_DTYPE_FLOAT16
LITTLE = {"embed_dtype": "float32", "endianness": "little"}


def request(inputs: Any = None, **fields: Any) -> PoolRequest:
    return PoolRequest(inputs=inputs or texts("a", "b"), **fields)


def plugin(data: str = '{"b": 1, "a": 1e3}', **fields: Any) -> PoolRequest:
    return PoolRequest(plugin_data=JsonDocument(json=data), **fields)


def answer(*results: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return {"id": "pooling-1", "created": 1, "model": "m", "data": list(results), "usage": usage}


def result(index: Any, data: Any, **more: Any) -> dict[str, Any]:
    return {"index": index, "object": "pooling", "data": data, **more}


async def pool(channel: aio.Channel, asked: PoolRequest) -> PoolResponse:
    stub: Any = PoolingServiceStub(channel)
    made: PoolResponse = await stub.Pool(asked)
    return made


ENCODING = {"encoding_format": "bytes", "embed_dtype": "float32", "endianness": "little"}
TASKS = {
    "UNSPECIFIED": None,
    "EMBED": "embed",
    "CLASSIFY": "classify",
    "TOKEN_EMBED": "token_embed",
    "TOKEN_CLASSIFY": "token_classify",
    "PLUGIN": "plugin",
    "EMBED_AND_TOKEN_CLASSIFY": "embed&token_classify",
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks(name: str) -> None:
    task: Any = f"POOLING_TASK_{name}"
    expected = {"task": TASKS[name]} if TASKS[name] else {}
    assert pooling.request_body(request(task=task)) == {"input": ["a", "b"]} | ENCODING | expected


def test_every_task_has_a_name() -> None:
    assert {f"POOLING_TASK_{name}" for name in TASKS} == set(pooling_pb2.PoolingTask.keys())


def test_request_body() -> None:
    asked = request(
        token_ids([1, 2]),
        model="m",
        user="u",
        dtype=FLOAT16,
        options=PoolingOptions(use_activation=True),
        engine=EngineOptions(cache_salt="s"),
    )
    assert pooling.request_body(asked) == {
        "input": [[1, 2]],
        "model": "m",
        "user": "u",
        "use_activation": True,
        "cache_salt": "s",
    } | ENCODING | {"embed_dtype": "float16"}


def test_request_of_a_plugin() -> None:
    body = pooling.request_body(plugin(model="m", user="u", engine=EngineOptions(priority=1)))
    assert orjson.dumps(body).startswith(b'{"data":{"b": 1, "a": 1e3},"task":"plugin",')
    assert json.loads(orjson.dumps(body)) == {
        "data": {"b": 1, "a": 1e3},
        "task": "plugin",
        "model": "m",
        "user": "u",
        "priority": 1,
    }


def _extra(key: str) -> JsonDocument:
    return document({key: 1})


REFUSED = {
    "neither inputs nor data": (PoolRequest(), "inputs"),
    "both": (plugin(inputs=texts("a")), "plugin_data"),
    "mixed kinds": (request([*texts("a"), *talks("a")]), "inputs[1]"),
    "several conversations": (request(talks("a", "b")), "inputs[1]"),
    "unknown task": (request(task=99), "task"),
    "unknown dtype": (request(dtype=99), "dtype"),
    "too many packed": (request(texts(*["a"] * 513), dtype=FLOAT16), "inputs"),
    "empty data": (PoolRequest(plugin_data=JsonDocument()), "plugin_data"),
    "malformed data": (plugin("{"), "plugin_data.json"),
    "data and a task": (plugin(task=pooling_pb2.POOLING_TASK_EMBED), "task"),
    "data and a dtype": (plugin(dtype=common_pb2.VECTOR_DTYPE_FLOAT32), "dtype"),
    "data and options": (
        plugin(options=PoolingOptions(truncate_prompt_tokens=1)),
        "options.truncate_prompt_tokens",
    ),
    "data and a template": (
        plugin(template=TemplateOptions(chat_template="x")),
        "template.chat_template",
    ),
    "data and a session": (plugin(engine=EngineOptions(session_id="x")), "engine.session_id"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused(case: str, channel: aio.Channel) -> None:
    asked, field = REFUSED[case]
    found = await refused(pool(channel, asked))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert found.fields == (field,)


@pytest.mark.parametrize("key", ["task", "data", "encoding_format"])
async def test_keys_that_a_field_covers(channel: aio.Channel, key: str) -> None:
    found = await refused(pool(channel, request(extra_body=_extra(key))))
    assert (found.reason, found.fields) == ("CONFLICTING_FIELDS", (f"extra_body.{key}",))


async def test_vectors() -> None:
    values = struct.pack("<6f", 1, 2, math.nan, 4, 5, 6)
    places = (
        {"index": 0, "start": 0, "end": 8, "shape": [2], **LITTLE},
        {"index": 1, "start": 8, "end": 24, "shape": [2, 2], **LITTLE, "note": "x"},
    )
    async with canned(in_bytes(answer(*places), values)) as (channel, _):
        found = await pool(channel, request())
    assert list(found.results[0].float_vector.values) == [1, 2]
    rows = [list(row.values) for row in found.results[1].multi_vector.vectors]
    assert math.isnan(rows[0][0])
    assert (rows[0][1], rows[1]) == (4, [5, 6])
    assert value_of(found.results[1].extra) == {"note": "x"}
    assert (found.id, found.model, found.usage.prompt_tokens) == ("pooling-1", "m", 5)


async def test_no_rows() -> None:
    place = {"index": 0, "start": 0, "end": 0, "shape": [0, 64], **LITTLE}
    async with canned(in_bytes(answer(place), b"")) as (channel, _):
        (found,) = (await pool(channel, request(texts("a")))).results
    assert found.WhichOneof("vector") == "multi_vector"
    assert len(found.multi_vector.vectors) == 0


async def test_rows_without_values() -> None:
    place = {"index": 0, "start": 0, "end": 0, "shape": [2, 0], **LITTLE}
    async with canned(in_bytes(answer(place), b"")) as (channel, _):
        found = await refused(pool(channel, request(texts("a"))))
    assert found.reason == "UPSTREAM_MALFORMED_RESPONSE"


async def test_a_negative_size() -> None:
    place = {"index": 0, "start": 0, "end": 24, "shape": [-2, -3], **LITTLE}
    async with canned(in_bytes(answer(place), bytes(24))) as (channel, _):
        found = await refused(pool(channel, request(texts("a"))))
    assert found.reason == "UPSTREAM_MALFORMED_RESPONSE"


async def test_every_form_of_vectors() -> None:
    # Text has no shape: a vector of three.
    sent = answer(result(0, [[1.0, None]]), result(1, "AACAPwAAAEAAAEBA"))
    async with canned(in_json(sent)) as (channel, _):
        found = await pool(channel, request())
    (row,) = found.results[0].multi_vector.vectors
    assert row.values[0] == 1
    assert math.isnan(row.values[1])
    assert list(found.results[1].float_vector.values) == [1, 2, 3]


async def test_many_inputs_are_requested_as_numbers() -> None:
    sent = answer(*(result(i, [[float(i)]]) for i in range(513)))
    async with canned(in_json(sent)) as (channel, upstream):
        found = await pool(channel, request(texts(*["a"] * 513)))
        (body,) = upstream.bodies("/pooling")
    assert body["encoding_format"] == "float"
    assert found.results[512].multi_vector.vectors[0].values == [512]


async def test_plugin() -> None:
    sent = {"request_id": "pooling-9", "created_at": 7, "data": {"b": [1, None], "a": 2.5}}
    async with canned(in_json({**sent, "note": 1})) as (channel, _):
        found = await pool(channel, plugin())
    assert found.plugin_data.json == '{"b":[1,null],"a":2.5}'
    assert (found.id, found.create_time.seconds) == ("pooling-9", 7)
    assert not found.results
    assert not found.HasField("usage")
    assert value_of(found.extra) == {"note": 1}


MALFORMED = {
    "no results": ({"id": "x"}, "no list of results"),
    "one missing": (answer(result(1, [1.0])), "none for 0"),
    "a duplicate": (answer(result(1, [1.0]), result(1, [1.0])), "two results for input 1"),
    "out of range": (
        answer(result(0, [1.0]), result(9, [1.0])),
        "index 9, out of range for 2 inputs",
    ),
    "no data": (answer({"index": 0}, result(1, [1.0])), "it lacks "),
    "three dimensions": (answer(result(0, [[[1.0]]]), result(1, [1.0])), "wrong type"),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_answer(case: str) -> None:
    sent, words = MALFORMED[case]
    async with canned(in_json(sent)) as (channel, _):
        found = await refused(pool(channel, request()))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INTERNAL,
        "UPSTREAM_MALFORMED_RESPONSE",
    )
    assert words in found.message


async def test_plugin_without_output() -> None:
    async with canned(in_json({"request_id": "x"})) as (channel, _):
        found = await refused(pool(channel, plugin()))
    assert found.reason == "UPSTREAM_MALFORMED_RESPONSE"


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("body.encoding_format", "no"),
        # Before 0.14, errors name no parameter.
        (None, "[{'type': 'literal_error', 'msg': \"Input should be 'float' or 'base64'\"}]"),
    ],
)
async def test_an_older_vllm_without_bytes(param: str | None, message: str) -> None:
    error = {"message": message, "type": "Bad Request", "param": param, "code": 400}
    refusal = in_json({"error": error}, status="400 Bad Request")
    async with canned(refusal) as (channel, upstream):
        await refused(pool(channel, request(model="m")))
        sent = upstream.bodies("/pooling")
    assert sent == [
        {"model": "m", "input": ["a", "b"]} | ENCODING,
        {"model": "m", "input": ["a", "b"], "encoding_format": "float"},
    ]
