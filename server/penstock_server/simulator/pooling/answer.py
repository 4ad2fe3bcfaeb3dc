"""Answers that contain vectors, in the requested form."""

import json
from collections.abc import Sequence

from penstock_server.simulator.http.answers import Answer, Json
from penstock_server.simulator.pooling.request import Pooling
from penstock_server.simulator.pooling.vectors import flat, in_base64, packed, shape

_OCTETS = "application/octet-stream"


def vectors(pooling: Pooling, outputs: Sequence[Json], key: str, kind: str) -> Answer:
    """Returns the answer, one output per input; `kind` and `key` name a result and its output."""
    values = pooling.values
    form = values.get("encoding_format", "float")
    dtype, endianness = values.get("embed_dtype", "float32"), values.get("endianness", "native")
    if form.startswith("bytes"):
        return _bytes(pooling, outputs, dtype, endianness)
    written = [
        in_base64(output, dtype, endianness) if form == "base64" else output for output in outputs
    ]
    results = [{"index": i, "object": kind, key: one} for i, one in enumerate(written)]
    return Answer.of_json(pooling.document(results))


def _bytes(pooling: Pooling, outputs: Sequence[Json], dtype: str, endianness: str) -> Answer:
    blocks = [packed(flat(output), dtype, endianness) for output in outputs]
    results, start = [], 0
    for index, (output, block) in enumerate(zip(outputs, blocks, strict=True)):
        where = {"start": start, "end": start + len(block), "shape": shape(output)}
        form = {"embed_dtype": dtype, "endianness": endianness}
        results.append({"index": index, **form, **where})
        start += len(block)
    answer = Answer.of_bytes(b"".join(blocks), _OCTETS)
    if pooling.values["encoding_format"] == "bytes":
        document = pooling.document(results)
        usage = {name: document["usage"][name] for name in ("prompt_tokens", "total_tokens")}
        del document["object"]
        answer.headers.append(("metadata", json.dumps({**document, "usage": usage})))
    return answer
