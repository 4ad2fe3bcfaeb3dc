"""The request fields that vLLM gained after the oldest known version.

vLLM ignores fields that it does not know. The service therefore adapts requests to older versions
(`fleet/adaptation.py`), and the simulator behaves as they do (its dialects). Both use this table.
The entries are taken from the request models of the releases 0.10.0 to 0.33.0. Fields that all of
these releases have are not listed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from penstock_server import routes

Version: TypeAlias = tuple[int, ...]
"""The numbers of a version, which can be compared."""

OLDEST: Final[Version] = (0, 10)
"""The oldest version whose fields are known."""

WHOLE_RESPONSES: Final[Version] = (0, 21)
"""The first version whose own Responses API reports truncated answers, repeats and omits nothing.

0.20.2 streams the text before a tool call, then reports it as empty.
"""

COMPLETION_SCHEMAS: Final[Version] = (0, 11, 1)
"""The first version that obeys a JSON schema in `response_format` of text completions."""

STRUCTURED_OUTPUTS: Final = "structured_outputs"

_RELEASE = re.compile(r"v?(\d+\.\d+(?:\.\d+)?)")
_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Field:
    """A field that is newer than the oldest version.

    Attributes:
        since: the first version that has it.
        older: its earlier name, with the same meaning; empty if it had none.
        older_since: the first version that has the older name.
        unset: the value with the same effect as no value.
        hint: whether the answer is the same without the field.
    """

    since: Version
    older: str = ""
    older_since: Version = OLDEST
    unset: Any = _NOTHING
    hint: bool = False


Fields: TypeAlias = Mapping[str, Field]

_WATERMARKING = Field((0, 30), unset=False)
_REPETITION_OFF = {"max_pattern_size": 0, "min_pattern_size": 0, "min_count": 0}
_GENERATION = {
    "repetition_detection": Field((0, 17), unset=_REPETITION_OFF),
    "truncation_side": Field((0, 22)),
    "ec_transfer_params": Field((0, 26)),
    "logprob_token_ids": Field((0, 26)),
    "stream_interval": Field((0, 27)),
    "routed_experts_prompt_start": Field((0, 28)),
    "session_id": Field((0, 28), hint=True),
    "watermarking": _WATERMARKING,
    "return_token_ids": Field((0, 10, 2), unset=False),
    "return_weight_versions": Field((0, 33), unset=False),
    STRUCTURED_OUTPUTS: Field((0, 11)),
}
_CHAT = _GENERATION | {
    "reasoning_effort": Field((0, 10, 1)),
    "include_reasoning": Field((0, 10, 1), unset=True),
    "media_io_kwargs": Field((0, 18)),
    "thinking_token_budget": Field((0, 19), unset=-1),
    "return_prompt_text": Field((0, 21), unset=False),
}
_COMPLETION = _GENERATION | {
    "thinking_token_budget": Field((0, 22), unset=-1),
    "bad_words": Field((0, 26)),
}
_RESPONSE = {
    "logit_bias": Field((0, 13)),
    "top_k": Field((0, 13)),
    "include_stop_str_in_output": Field((0, 15), unset=False),
    "prompt_cache_key": Field((0, 15), hint=True),
    "skip_special_tokens": Field((0, 15), unset=True),
    "ignore_eos": Field((0, 16), unset=False),
    "repetition_penalty": Field((0, 16)),
    "seed": Field((0, 16)),
    "stop": Field((0, 16)),
    "vllm_xargs": Field((0, 16)),
    STRUCTURED_OUTPUTS: Field((0, 17)),
    "media_io_kwargs": Field((0, 18)),
    "kv_transfer_params": Field((0, 19)),
    "frequency_penalty": Field((0, 20)),
    "presence_penalty": Field((0, 20)),
    "chat_template_kwargs": Field((0, 22)),
    "ec_transfer_params": Field((0, 26)),
    "include_reasoning": Field((0, 26), unset=True),
    "session_id": Field((0, 28), hint=True),
    "watermarking": _WATERMARKING,
    "min_p": Field((0, 32)),
    "stop_token_ids": Field((0, 32)),
    "prompt_cache_options": Field((0, 33), hint=True),
    "prompt_cache_retention": Field((0, 33), hint=True),
    "safety_identifier": Field((0, 33), hint=True),
    "spaces_between_special_tokens": Field((0, 33), unset=True),
}
_POOLING_MODEL = {
    "cache_salt": Field((0, 16)),
    "truncation_side": Field((0, 18)),
    "padding": Field((0, 29)),
}
# Without these, vectors are native 32-bit floats: little-endian on every platform of vLLM.
_ENCODING = {
    "embed_dtype": Field((0, 11, 1), hint=True),
    "endianness": Field((0, 11, 1), hint=True),
}
_MEDIA = {"media_io_kwargs": Field((0, 18))}
_EMBEDDING = (
    _POOLING_MODEL
    | _ENCODING
    | _MEDIA
    | {
        "add_generation_prompt": Field((0, 10, 2), unset=False),
        "continue_final_message": Field((0, 14), unset=False),
        "use_activation": Field((0, 16), "normalize", (0, 10, 1)),
        "late_chunking_params": Field((0, 33)),
    }
)
_POOLING = (
    _POOLING_MODEL
    | _ENCODING
    | _MEDIA
    | {
        "data": Field((0, 10, 2)),
        "add_generation_prompt": Field((0, 10, 2), unset=False),
        "task": Field((0, 11, 1)),
        "use_activation": Field((0, 11, 1)),
        "continue_final_message": Field((0, 14), unset=False),
    }
)
_ACTIVATION = {"use_activation": Field((0, 11, 1), "activation", (0, 10, 1))}
_CLASSIFICATION = (
    _POOLING_MODEL
    | _MEDIA
    | _ACTIVATION
    | {
        "messages": Field((0, 11, 1)),
        "add_generation_prompt": Field((0, 11, 1), unset=False),
        "add_special_tokens": Field((0, 11, 1), unset=True),
        "chat_template": Field((0, 11, 1)),
        "chat_template_kwargs": Field((0, 11, 1)),
        "mm_processor_kwargs": Field((0, 11, 1)),
        "continue_final_message": Field((0, 15), unset=False),
    }
)
_SCORING = (
    _POOLING_MODEL
    | _ACTIVATION
    | {
        "max_tokens_per_doc": Field((0, 20), unset=0),
        "max_tokens_per_query": Field((0, 20), unset=0),
        "chat_template_kwargs": Field((0, 22)),
        "instruction": Field((0, 22)),
    }
)
# The service sends both sides of a score under their oldest names.
_SCORE = _SCORING | {
    "data_1": Field((0, 15)),
    "data_2": Field((0, 15)),
    "queries": Field((0, 15)),
    "documents": Field((0, 15)),
    "items": Field((0, 16)),
}
_TRANSCRIPTION = {
    "to_language": Field((0, 10, 2)),
    "max_completion_tokens": Field((0, 14)),
    "include_stop_str_in_output": Field((0, 18), unset=False),
    "length_penalty": Field((0, 18)),
    "n": Field((0, 18), unset=1),
    "use_beam_search": Field((0, 18), unset=False),
    "hotwords": Field((0, 20)),
    "watermarking": Field((0, 32), unset=False),
}
_TRANSLATION = (
    _TRANSCRIPTION
    | {"seed": Field((0, 10, 2))}
    | dict.fromkeys(
        (
            "top_p",
            "top_k",
            "min_p",
            "frequency_penalty",
            "presence_penalty",
            "repetition_penalty",
            "vllm_xargs",
        ),
        Field((0, 27)),
    )
)

FIELDS: Mapping[str, Fields] = {
    routes.CHAT_COMPLETIONS: _CHAT,
    routes.COMPLETIONS: _COMPLETION,
    routes.RESPONSES: _RESPONSE,
    routes.EMBEDDINGS: _EMBEDDING,
    routes.POOLING: _POOLING,
    routes.CLASSIFY: _CLASSIFICATION,
    routes.SCORE: _SCORE,
    routes.RERANK: _SCORING,
    routes.TOKENIZE: _MEDIA,
    routes.TRANSCRIPTIONS: _TRANSCRIPTION,
    routes.TRANSLATIONS: _TRANSLATION,
}
"""The fields of each route."""

OLDER_CONSTRAINTS: Mapping[str, Mapping[str, str]] = {
    routes.CHAT_COMPLETIONS: {
        "json": "guided_json",
        "regex": "guided_regex",
        "choice": "guided_choice",
        "grammar": "guided_grammar",
        "whitespace_pattern": "guided_whitespace_pattern",
        "structural_tag": "structural_tag",
    },
    routes.COMPLETIONS: {
        "json": "guided_json",
        "regex": "guided_regex",
        "choice": "guided_choice",
        "grammar": "guided_grammar",
        "whitespace_pattern": "guided_whitespace_pattern",
    },
}
"""The earlier names of the parts of `structured_outputs`, by route."""


@lru_cache(maxsize=64)
def numbers(version: str) -> Version | None:
    """Returns the numbers of the release that a version string begins with; None if unknown.

    Unknown are versions older than the table, and builds from a working copy without tags, which
    report 0.1.dev or dev.
    """
    match = _RELEASE.match(version)
    found = tuple(int(part) for part in match[1].split(".")) if match else ()
    return found if found >= OLDEST else None


@lru_cache(maxsize=64)
def younger_than(version: str) -> Mapping[str, Fields]:
    """Returns the fields that a version lacks, by route; empty if the version is unknown."""
    own = numbers(version)
    if own is None:
        return {}
    younger = {
        route: {name: field for name, field in fields.items() if own < field.since}
        for route, fields in FIELDS.items()
    }
    return {route: fields for route, fields in younger.items() if fields}


def text(version: Version) -> str:
    """Returns a version in its usual notation."""
    return ".".join(map(str, (*version, 0)[:3]))
