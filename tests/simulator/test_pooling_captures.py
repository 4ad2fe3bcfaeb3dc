"""Embeddings, classes and pooling have the shapes of captured vLLM answers."""

import base64
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from penstock_server.simulator import Simulator, SimulatorSettings
from penstock_server.simulator.pooling.vectors import packed

from .calls import client
from .test_captures import CAPTURES, shape
from .test_captures import replay as send

FOLDERS = ("embedding", "classification", "pooling")
PLAIN = SimulatorSettings(listen="127.0.0.1:0", max_model_len=256)
SIMULATED = {
    "tiny-embed": replace(PLAIN, kind="embed", models=("tiny-embed",)),
    "tiny-embed-mrl": replace(PLAIN, kind="embed", models=("tiny-embed-mrl",), matryoshka=True),
    "tiny-token-embed": replace(
        PLAIN, kind="embed", models=("tiny-token-embed",), pooling_task="token_embed"
    ),
    "tiny-classify": replace(PLAIN, kind="classify", models=("tiny-classify",)),
    "tiny-rerank": replace(PLAIN, kind="rerank", models=("tiny-rerank",)),
}
OWN_WORDS = {"emb_err_encoding_format", "emb_err_no_input", "emb_err_number"}
"""vLLM tries several forms of a request and lists the faults of each."""
TALKS = {"emb_messages"}
"""The models have no template; the simulator has one."""
ORDER = {"pooling_err_task"}
"""The tasks of a model are a set without a defined order."""


def captures() -> list[Any]:
    paths = [path for folder in FOLDERS for path in sorted((CAPTURES.parent / folder).iterdir())]
    read = [json.loads(path.read_text("utf-8")) for path in paths]
    return [pytest.param(one, id=one["name"]) for one in read if one["name"] not in TALKS]


@pytest.fixture
async def http(capture: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a simulator configured like the server of the capture."""
    asked = capture["request"]["body"]
    model = asked.get("model", "") if isinstance(asked, dict) else ""
    other = "tiny-embed" if capture["name"].startswith("emb") else "tiny-classify"
    async with (
        Simulator(SIMULATED.get(model, SIMULATED[other])) as simulator,
        client(simulator.url) as opened,
    ):
        yield opened


@pytest.mark.parametrize("capture", captures())
async def test_answer(capture: Any, http: httpx.AsyncClient) -> None:
    response = await send(http, capture)
    assert response.status_code == capture["status"], response.text
    assert response.headers["content-type"] == capture["content_type"]
    if "body" not in capture:
        check_bytes(response, capture)
        return
    body, expected = response.json(), capture["body"]
    if capture["status"] == 200:
        assert shape(body) == shape(expected)
        check_vectors(body["data"], expected["data"])
    elif capture["name"] in OWN_WORDS:
        assert body["error"]["param"] == expected["error"]["param"]
    else:
        assert in_any_order(body, capture) == in_any_order(expected, capture)


def check_bytes(response: httpx.Response, capture: Any) -> None:
    expected = base64.b64decode(capture["bytes_base64"])
    head = capture.get("headers", {}).get("metadata")
    if head is None:
        assert "metadata" not in response.headers
        assert len(response.content) == len(expected)
        return
    found, wanted = json.loads(response.headers["metadata"]), json.loads(head)
    assert shape(found) == shape(wanted)
    for one, other in zip(found["data"], wanted["data"], strict=True):
        assert one["embed_dtype"] == other["embed_dtype"]
        assert one["endianness"] == other["endianness"]
        assert one["shape"][-1] == other["shape"][-1]
        assert len(one["shape"]) == len(other["shape"])
    assert found["data"][-1]["end"] == len(response.content)


def check_vectors(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        for key in {"embedding", "data"} & other.keys():
            if not isinstance(other[key][0], list):
                assert len(one[key]) == len(other[key])


def in_any_order(body: Any, capture: Any) -> Any:
    if capture["name"] in ORDER:
        words = body["error"]["message"]
        body["error"]["message"] = sorted(word.strip("[],") for word in words.split())
    return body


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "fp8_e4m3", "fp8_e5m2"])
def test_number_formats(dtype: str) -> None:
    """The formats equal those of the real vLLM bit by bit."""
    folder = CAPTURES.parent / "embedding"
    read = [
        json.loads((folder / f"emb_bytes_{name}.json").read_text()) for name in ("float32", dtype)
    ]
    exact, wanted = (base64.b64decode(one["bytes_base64"]) for one in read)
    values = struct.unpack(f"<{len(exact) // 4}f", exact)
    assert packed(values, dtype, "little") == wanted


async def test_texts_with_common_words_are_similar() -> None:
    async with (
        Simulator(SIMULATED["tiny-embed"]) as simulator,
        client(simulator.url) as http,
    ):
        body = {"input": ["the cat sat", "the cat sits", "quite another text", "the cat sat"]}
        data = (await http.post("/v1/embeddings", json=body)).json()["data"]
    cat, like, unlike, same = (one["embedding"] for one in data)
    assert same == cat
    assert product(cat, like) > product(cat, unlike) + 0.1


def product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
