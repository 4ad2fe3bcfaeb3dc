"""The cases that older versions of vLLM cannot pass, whether real or simulated.

Each of them is run and must fail: a case that passes fails the run.
"""

from dataclasses import dataclass

import expected_failures
import pytest
from expected_failures import Cases
from server_process import ServerError

from penstock_server.simulator.dialects.versions import NEWEST

DIALECTS = (NEWEST, "0.14.1", "0.10.0")
"""The dialects of the simulator; callers can notice the changes between any two of them."""


@dataclass(frozen=True, slots=True)
class Since:
    """Cases that fail before a version.

    Attributes:
        version: the first version that they pass on.
        why: the difference of older versions.
        cases: the cases.
        simulated: whether they also fail in the simulator's dialects.
        first: the first version in which they fail, if not in all older ones.
        starts: whether the real server that they need starts.
    """

    version: tuple[int, ...]
    why: str
    cases: Cases
    simulated: bool = True
    first: tuple[int, ...] = ()
    starts: bool = True


_REALTIME: Cases = {
    "test_realtime": (
        "test_an_utterance",
        "test_text_comes_before_the_end_of_the_audio",
        "test_several_utterances",
        "test_an_utterance_ends_while_the_session_continues",
        "test_many_small_chunks_and_a_large_one",
        "test_a_single_sample",
        "test_sessions_at_once",
        "test_another_rate",
        "test_a_session_without_audio",
        "test_unknown_model",
        "test_cancelling_stops_the_transcription",
        "test_the_command_reads_a_pipe",
        "test_the_python_client",
        "test_an_event_that_is_refused",
        "test_a_refused_event_leaves_the_session_open",
        "test_an_end_before_its_beginning_ends_the_next_utterance",
    )
}

IMPOSSIBLE = (
    Since(
        (1,),
        "requests have more fields",
        {"test_live_schema": ("test_requests",)},
        simulated=False,
        first=(0, 33),
    ),
    Since(
        (1,),
        "a model of one vector per token returns embeddings",
        {"test_embedding": ("test_on_a_model_of_vectors_per_token",)},
        simulated=False,
        first=(0, 33),
    ),
    Since(
        (0, 32),
        "requests have fewer fields",
        {"test_live_schema": ("test_requests",)},
        simulated=False,
    ),
    Since(
        (0, 32),
        "token ids are generated in another form, without an option",
        {
            "test_generation": (
                "test_tokens",
                "test_text",
                "test_a_stream_adds_up_to_the_answer",
                "test_ranks",
                "test_log_probabilities_of_texts",
                "test_log_probabilities_of_the_prompt",
                "test_several_choices",
                "test_counts_in_every_message",
                "test_stop_token",
                "test_stop_string",
                "test_structured_output",
                "test_the_next_turn_begins_with_the_same_ids",
                "test_value_out_of_range",
                "test_token_outside_the_vocabulary",
                "test_too_long",
                "test_unknown_model",
            )
        },
    ),
    Since(
        (0, 32),
        "the libraries do not include the architecture of the tiny model",
        _REALTIME,
        simulated=False,
        starts=False,
    ),
    Since(
        (0, 29),
        "no option limits the requests that wait",
        {"test_live_failing": ("test_overload",)},
        simulated=False,
    ),
    Since(
        (0, 18),
        "no option lets a server finish its requests before it stops",
        {"test_live_failing": ("test_the_server_finishes_first",)},
        simulated=False,
    ),
    Since(
        (0, 20),
        "OpenTelemetry is not among its requirements",
        {"test_live_traces": ("test_a_call_its_request_and_the_engine_are_one_trace",)},
        simulated=False,
        starts=False,
    ),
    Since(
        (0, 28),
        "usage does not tell the tokens of thought",
        {
            "test_reasoning": ("test_reasoning_by_default", "test_hidden"),
            "test_response": ("test_reasoning",),
        },
    ),
    Since(
        (0, 24),
        "usage does not say that none of the prompt was cached",
        {"test_chat": ("test_usage",)},
    ),
    Since(
        (0, 23),
        "a thinking budget of -1 is refused",
        {"test_sampling": ("test_everything_at_its_neutral_value",)},
        first=(0, 19),
        simulated=False,
    ),
    Since(
        (0, 22),
        "the prompt's text is not to be had, and streams have no fingerprint",
        {
            "test_chat": (
                "test_prompt_text",
                "test_prompt_is_returned_once_for_all_choices",
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
        (0, 31),
        "a suffix is refused without a parameter, and parameters of media are taken from anyone",
        {
            "test_completion": ("test_rejected[suffix]",),
            "test_refusals": ("test_media_parameters_that_are_not_trusted[mm_processor_kwargs]",),
        },
    ),
    Since(
        (0, 26),
        "a wrong number of dimensions is refused in other words",
        {"test_embedding": ("test_length_of_a_plain_model_is_fixed", "test_wrong_dimensions")},
    ),
    Since(
        (0, 26),
        "any number of prompts is taken",
        {"test_completion": ("test_rejected[too many prompts]",)},
        simulated=False,
    ),
    Since(
        (0, 24),
        "any temperature is taken",
        {
            "test_completion": ("test_rejected[temperature]",),
            "test_refusals": ("test_value_out_of_range[temperature]",),
        },
    ),
    Since(
        (0, 21),
        "what is wrong with the shape of a request has no parameter",
        {
            "test_completion": ("test_rejected[no text]",),
            "test_refusals": ("test_value_out_of_range[stop]", "test_extra_body_arrives"),
            "test_tokenization": ("test_negative_token",),
            "test_tools": ("test_choice_without_tools", "test_unknown_function"),
        },
    ),
    Since(
        (0, 21),
        "calls that are asked for may be no JSON",
        {"test_tools": ("test_required", "test_named", "test_schema_as_struct")},
        simulated=False,
    ),
    Since(
        (0, 30),
        "a call that is cut ends as if it were whole",
        {"test_tools": ("test_call_cut_by_the_limit",)},
        simulated=False,
    ),
    Since(
        (0, 30),
        "streams lack the log probabilities of tokens without text",
        {"test_logprobs": ("test_bytes_of_wide_characters",)},
        simulated=False,
        first=(0, 20),
    ),
    Since(
        (0, 21),
        "streams contain calls that were not allowed, and lack the log probabilities of tokens "
        "without text",
        {"test_chat": ("test_longest_answer",), "test_tools": ("test_none",)},
        simulated=False,
        first=(0, 20),
    ),
    Since(
        (0, 31),
        "parameters of media are taken from anyone",
        {"test_refusals": ("test_media_parameters_that_are_not_trusted[media_io_kwargs]",)},
        simulated=False,
        first=(0, 18),
    ),
    Since(
        (0, 21),
        "the own Responses API is not used",
        {
            "test_response": (
                "test_background_needs_a_store",
                "test_bad_schema",
                "test_nothing_is_stored_by_default",
            )
        },
    ),
    Since(
        (0, 20),
        "max_tokens_per_doc and hotwords are refused",
        {
            "test_rerank": ("test_truncation",),
            "test_transcription": ("test_every_option_is_accepted",),
        },
    ),
    Since(
        (0, 21),
        "several conversations at once are refused",
        {"test_embedding": ("test_conversations",)},
    ),
    Since(
        (0, 18),
        "truncation_side is refused",
        {"test_embedding": ("test_truncation",)},
    ),
    Since(
        (0, 21),
        "any salt is taken",
        {"test_embedding": ("test_engine_options",)},
        simulated=False,
        first=(0, 16),
    ),
    Since(
        (0, 21),
        "/pooling gives vectors for tokens as well, and names no parameter that it refuses",
        {
            "test_pooling": (
                "test_another_task[POOLING_TASK_CLASSIFY]",
                "test_another_task[POOLING_TASK_TOKEN_EMBED]",
                "test_another_task[POOLING_TASK_PLUGIN]",
            )
        },
        simulated=False,
        first=(0, 16),
    ),
    Since(
        (0, 24),
        "any temperature is taken",
        {"test_transcription": ("test_refused[temperature]",)},
        simulated=False,
    ),
    Since(
        (0, 16),
        "a file that is no audio is an error of the server",
        {"test_transcription": ("test_refused[garbage]",)},
    ),
    Since(
        (0, 18),
        "beams are streamed, all at once",
        {"test_completion": ("test_beam_search",)},
        simulated=False,
    ),
    Since(
        (0, 16),
        "a prompt that is too long is counted, and completions take their limit off the context; "
        "limits beyond the context are refused without a parameter",
        {
            "test_completion": ("test_too_long",),
            "test_refusals": ("test_context_length", "test_value_out_of_range[truncation]"),
        },
    ),
    Since(
        (0, 16),
        "limits beyond the context are refused without a parameter",
        {"test_refusals": ("test_value_out_of_range[max_tokens]",)},
        simulated=False,
    ),
    Since(
        (0, 16),
        "/pooling gives a vector for each token, and names no parameter that it refuses",
        {
            "test_pooling": (
                "test_embeddings[POOLING_TASK_UNSPECIFIED]",
                "test_packed",
                "test_conversation",
                "test_another_task",
            )
        },
    ),
    Since(
        (0, 16),
        "all models have all routes",
        {"test_embedding": ("test_what_the_model_serves",)},
        simulated=False,
    ),
    Since(
        (0, 24),
        "streams contain the reasoning even if the caller asked to hide it",
        {"test_response": ("test_hidden_reasoning",)},
        simulated=False,
    ),
    Since(
        (0, 17),
        "reasoning that is cut by the limit is reported as text, except in streams",
        {"test_reasoning": ("test_reasoning_cut_by_the_limit",)},
        simulated=False,
    ),
    Since(
        (0, 21),
        "streams lack the log probabilities of the first and last token of reasoning",
        {"test_reasoning": ("test_logprobs_of_reasoning",)},
        simulated=False,
    ),
    Since(
        (0, 16),
        "a piece of a stream may contain the mark at which reasoning starts",
        {"test_reasoning": ("test_answer_can_be_sent_back",)},
        simulated=False,
    ),
    Since(
        (0, 17),
        "cross-encoders refuse an empty text",
        {"test_rerank": ("test_empty_document[rerank]",)},
    ),
    Since(
        (0, 21),
        "raw scores are not the logits of the scores",
        {"test_rerank": ("test_raw_scores",)},
        simulated=False,
        first=(0, 11),
    ),
    Since(
        (0, 15),
        "token ids cannot be classified",
        {"test_classification": ("test_token_ids",)},
    ),
    Since(
        (0, 21),
        "a model of one vector per token returns embeddings",
        {"test_embedding": ("test_on_a_model_of_vectors_per_token",)},
        simulated=False,
    ),
    Since(
        (0, 16),
        "parts of long audio are joined without a space, and a long prompt is refused in other "
        "words",
        {"test_transcription": ("test_long_audio", "test_refused[prompt]")},
        simulated=False,
    ),
    Since(
        (0, 21),
        "diarized transcripts are refused with the parameter",
        {"test_transcription": ("test_refused[speakers]",)},
        simulated=False,
    ),
    Since(
        (0, 21),
        "lists in vllm_xargs are refused, and a file that is no audio in other words",
        {"test_transcription": ("test_every_option_is_accepted", "test_refused[garbage]")},
        simulated=False,
        first=(0, 16),
    ),
    Since(
        (0, 16),
        "the parser of calls leaves white space behind",
        {
            "test_tools": ("test_model_decides_to_call", "test_several_calls_after_text"),
            "test_response": ("test_call", "test_text_and_calls", "test_only_the_first_call"),
        },
        simulated=False,
    ),
    Since(
        (0, 21),
        "offsets of an echoed prompt are counted otherwise",
        {"test_completion": ("test_logprobs_of_an_echoed_prompt",)},
        simulated=False,
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
            "test_refusals": (
                "test_value_out_of_range",
                "test_negative_prompt_logprobs",
                "test_extra_body_arrives",
            ),
            "test_response": ("test_upstream_names_our_field",),
            "test_tokenization": ("test_negative_token",),
            "test_tools": ("test_choice_without_tools", "test_unknown_function"),
            "test_transcription": (
                "test_refused[temperature]",
                "test_refused[temperature below zero]",
                "test_refused[prompt]",
            ),
        },
    ),
    Since(
        (0, 11),
        "templates are taken from anyone, parallel_tool_calls and grammars that cannot be compiled "
        "are ignored, streams lose pieces of arguments, and log probabilities bytes of characters",
        {
            "test_completion": ("test_grammar_that_cannot_be_compiled",),
            "test_embedding": ("test_template_of_the_request_is_not_trusted",),
            "test_logprobs": ("test_bytes_of_wide_characters",),
            "test_reasoning": ("test_reasoning_before_a_call",),
            "test_refusals": ("test_template_that_is_not_trusted",),
            "test_tokenization": ("test_template_of_the_request",),
            "test_tools": ("test_only_the_first_call", "test_arguments_come_in_pieces"),
        },
        simulated=False,
    ),
    Since(
        (0, 11),
        "the CPU build does not start with a model of speech",
        {
            "test_transcription": (
                "test_text",
                "test_stream_equals_the_answer",
                "test_audio_in_one_message_is_streamed_too",
                "test_long_audio",
                "test_continuous_usage",
                "test_segments",
                "test_word_times_are_accepted",
                "test_subtitles",
                "test_every_option_is_accepted",
                "test_request_id",
                "test_finish_by_length",
                "test_a_file_of_another_name_and_type",
                "test_refused",
                "test_streams_refuse_the_same",
                "test_unknown_model",
                "test_largest_file",
                "test_a_cut_upload_does_not_harm_the_next",
                "test_the_model_does_not_chat",
            )
        },
        simulated=False,
        starts=False,
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
                "test_missing_plugin",
            ),
        },
    ),
    Since(
        (0, 10, 1),
        "activations cannot be left out, and efforts and hidden thought are refused",
        {
            "test_classification": ("test_raw_scores",),
            "test_embedding": ("test_without_activation",),
            "test_reasoning": ("test_effort", "test_unknown_effort"),
            "test_rerank": ("test_raw_scores",),
            "test_response": ("test_hidden_reasoning",),
        },
    ),
    Since(
        (0, 15),
        "segments need a language",
        {
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
        {"test_transcription": ("test_finish_by_length",)},
    ),
    Since(
        (0, 10, 2),
        "the ids of tokens are not to be had, and transcripts have no usage",
        {
            "test_chat": ("test_token_ids",),
            "test_completion": (
                "test_token_ids_both_ways",
                "test_choices_go_prompt_by_prompt",
                "test_tokens_as_ids",
                "test_prompt_logprobs",
            ),
            "test_logprobs": ("test_tokens_as_ids", "test_prompt"),
            "test_sampling": ("test_stop_token", "test_token_lists"),
            "test_tokenization": ("test_a_conversation_counts_as_its_chat",),
            "test_transcription": ("test_text[transcribe]",),
        },
    ),
)
"""The cases that fail, by version."""

ONCE: Cases = {
    "test_cancelling": ("test_deadline_of_a_unary_call", "test_deadline_of_a_stream"),
    "test_transcription": ("test_largest_file",),
    **_REALTIME,
}
"""Cases that are the same in every dialect, and run in one: about time, size or websockets."""


def mark_impossible(item: pytest.Item, version: str, *, simulated: bool) -> None:
    """Marks a case that must fail on a version."""
    own = _numbers(version)
    for since in IMPOSSIBLE:
        if since.first <= own < since.version and (since.simulated or not simulated):
            error = None if since.starts else ServerError
            expected_failures.mark(item, since.cases, since.why, error)


def is_repeated(item: pytest.Item, dialect: str) -> bool:
    """Returns whether a case in an older dialect only repeats the one in the newest."""
    return dialect != NEWEST and expected_failures.is_among(item, ONCE)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
