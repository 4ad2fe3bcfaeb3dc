"""What the suite cannot have of older versions of vLLM, be they real or simulated.

Each of these cases is run, and must fail: one that a version can do after all fails the run.
"""

from dataclasses import dataclass

import expected_failures
import pytest
from expected_failures import Cases

from penstock_server.simulator.dialects.versions import NEWEST

DIALECTS = (NEWEST, "0.14.1", "0.10.0")
"""Those that the simulator speaks. Between two of them something changed that callers have to
know."""


@dataclass(frozen=True, slots=True)
class Since:
    """Cases that cannot be had before a version.

    Attributes:
        version: the first version that has what they need.
        why: what older versions lack.
        cases: those that fail before.
    """

    version: tuple[int, ...]
    why: str
    cases: Cases


IMPOSSIBLE = (
    Since(
        (0, 28),
        "usage does not tell the tokens of thought",
        {
            "test_reasoning": ("test_thinks_by_default", "test_hidden"),
            "test_response": ("test_reasoning",),
        },
    ),
    Since(
        (0, 22),
        "the prompt's text is not to be had, and streams have no fingerprint",
        {
            "test_chat": (
                "test_prompt_text",
                "test_prompt_is_told_once_for_all_choices",
                "test_stream_comes_in_pieces",
            )
        },
    ),
    Since(
        (0, 29),
        "padding is refused",
        {"test_embedding": ("test_padding",)},
    ),
    Since(
        (0, 21),
        "any temperature is taken, and what is wrong with the shape of a request has no parameter",
        {
            "test_completion": ("test_rejected",),
            "test_reasoning": ("test_unknown_effort",),
            "test_refusals": ("test_value_out_of_range", "test_extra_body_arrives"),
            "test_response": ("test_background_needs_a_store",),
            "test_tokenization": ("test_negative_token",),
        },
    ),
    Since(
        (0, 20),
        "max_tokens_per_doc and hotwords are refused, and the own Responses API is not used",
        {
            "test_rerank": ("test_cutting",),
            "test_response": ("test_bad_schema", "test_nothing_is_stored_by_default"),
            "test_transcription": ("test_every_option_is_taken",),
        },
    ),
    Since(
        (0, 18),
        "truncation_side is refused",
        {"test_embedding": ("test_truncation",)},
    ),
    Since(
        (0, 16),
        "cache_salt is refused",
        {"test_embedding": ("test_engine_options",), "test_rerank": ("test_engine_options",)},
    ),
    Since(
        (0, 14),
        "errors do not name the field",
        {
            "test_completion": ("test_rejected", "test_prompt_logprobs_are_not_streamed"),
            "test_logprobs": ("test_too_many", "test_no_prompt_logprobs_in_a_stream"),
            "test_pooling": ("test_another_task",),
            "test_reasoning": ("test_unknown_effort",),
            "test_refusals": (
                "test_value_out_of_range",
                "test_media_parameters_that_are_not_trusted",
                "test_negative_prompt_logprobs",
                "test_extra_body_arrives",
            ),
            "test_response": (
                "test_upstream_names_our_field",
                "test_background_needs_a_store",
            ),
            "test_tokenization": ("test_negative_token",),
            "test_tools": ("test_choice_without_tools", "test_unknown_function"),
            "test_transcription": ("test_refused",),
        },
    ),
    Since(
        (0, 11, 1),
        "vectors cannot be had as bytes, and tasks, conversations to classify, raw scores refused",
        {
            "test_classification": ("test_conversation",),
            "test_embedding": ("test_number_formats", "test_dimensions"),
            "test_pooling": (
                "test_packed",
                "test_packed_vectors_per_token",
                "test_embeddings",
                "test_classes",
                "test_vectors_per_token",
                "test_plugin_that_is_not_there",
            ),
        },
    ),
    Since(
        (0, 10, 1),
        "activations cannot be left out, and efforts and hidden thought are refused",
        {
            "test_classification": ("test_raw_scores",),
            "test_embedding": ("test_without_activation",),
            "test_reasoning": ("test_effort",),
            "test_rerank": ("test_raw_scores",),
            "test_response": ("test_hidden_reasoning",),
        },
    ),
    Since(
        (0, 15),
        "segments need a language, and usage does not say how much of the prompt had been kept",
        {
            "test_chat": ("test_usage",),
            "test_transcription": (
                "test_segments",
                "test_word_times_are_accepted",
                "test_subtitles",
            ),
        },
    ),
    Since(
        (0, 14),
        "a limit of a transcript is refused",
        {"test_transcription": ("test_length_is_told",)},
    ),
    Since(
        (0, 10, 2),
        "the ids of tokens are not to be had, and transcripts have no usage",
        {
            "test_chat": ("test_token_ids",),
            "test_completion": (
                "test_token_ids_go_in_and_out",
                "test_choices_go_prompt_by_prompt",
                "test_tokens_as_ids",
                "test_prompt_logprobs",
            ),
            "test_logprobs": ("test_tokens_as_ids", "test_prompt"),
            "test_sampling": ("test_stop_token", "test_token_lists"),
            "test_tokenization": ("test_a_conversation_counts_as_its_chat",),
            "test_transcription": ("test_text",),
        },
    ),
)
"""What older versions lack."""

ONCE: Cases = {
    "test_cancelling": ("test_deadline_of_a_unary_call", "test_deadline_of_a_stream"),
    "test_transcription": ("test_largest_file",),
}
"""Cases about time or size, which no dialect changes: one is enough."""


def mark_impossible(item: pytest.Item, version: str) -> None:
    """Marks a case that a version cannot do."""
    own = _numbers(version)
    for since in IMPOSSIBLE:
        if own < since.version:
            expected_failures.mark(item, since.cases, since.why)


def is_repeated(item: pytest.Item, dialect: str) -> bool:
    """Returns whether a case says nothing more in a dialect than in the newest."""
    return dialect != NEWEST and expected_failures.is_among(item, ONCE)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
