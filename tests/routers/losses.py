"""The losses of each router: cases of the acceptance suite that fail through it.

Each of them is run and must fail: a case that passes fails the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import expected_failures
import pytest
from expected_failures import Cases


@dataclass(frozen=True, slots=True)
class Loss:
    """Cases that fail through a router.

    Attributes:
        why: the behavior of the router that makes them fail.
        cases: the cases.
    """

    why: str
    cases: Cases


_OPENAI_ROUTES = (
    Loss(
        "it has no /classify of vLLM",
        {
            "test_classification": (
                "test_texts",
                "test_token_ids",
                "test_conversation",
                "test_raw_scores",
                "test_too_long",
                "test_engine_options",
                "test_unknown_model",
                "test_unknown_token",
            ),
        },
    ),
    Loss(
        "it has no /pooling",
        {
            "test_pooling": (
                "test_embeddings",
                "test_packed",
                "test_classes",
                "test_conversation",
                "test_vectors_per_token",
                "test_packed_vectors_per_token",
                "test_more_inputs_than_shapes_fit_a_header",
                "test_another_task",
                "test_missing_plugin",
                "test_too_long",
                "test_unknown_model",
            ),
        },
    ),
    Loss(
        "it has no /v1/score",
        {
            "test_rerank": (
                "test_one_query_scores_as_reranking",
                "test_pairs",
                "test_too_long",
                "test_unknown_model",
            ),
        },
    ),
    Loss(
        "it has no /inference/v1/generate",
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
            ),
        },
    ),
    Loss(
        "it has no /tokenize and /detokenize of vLLM",
        {
            "test_tokenization": (
                "test_round_trip",
                "test_token_strings",
                "test_special_tokens",
                "test_a_model_that_embeds",
                "test_a_conversation_counts_as_its_chat",
                "test_tools_are_part_of_the_prompt",
                "test_template_options",
                "test_unknown_tokens_are_left_out",
                "test_negative_token",
                "test_unknown_model",
                "test_template_of_the_request",
                "test_an_unknown_parameter_passes",
            ),
        },
    ),
    Loss(
        "it has no /v1/audio/translations",
        {
            "test_transcription": (
                "test_text[translate]",
                "test_stream_equals_the_answer[translate]",
                "test_long_audio[translate]",
                "test_segments[translate]",
            ),
        },
    ),
)
"""The losses of a router that has only the routes of OpenAI's own API."""

LOSSES: Mapping[str, tuple[Loss, ...]] = {
    "vllm-router": (
        Loss(
            "it drops `continuous_usage_stats`",
            {
                "test_chat": ("test_usage_on_every_message",),
            },
        ),
        Loss(
            "it does not pass on the id of the request on every route",
            {
                "test_classification": ("test_engine_options",),
                "test_rerank": ("test_engine_options",),
            },
        ),
        Loss(
            "its own checks and words come before vLLM's",
            {
                "test_completion": ("test_rejected[embeddings]",),
                "test_reasoning": ("test_unknown_effort",),
            },
        ),
        Loss(
            "it asks for `input`, which conversations do not have",
            {
                "test_embedding": ("test_conversations",),
            },
        ),
        Loss(
            "it drops the options of embeddings that it does not know",
            {
                "test_embedding": (
                    "test_number_formats",
                    "test_without_activation",
                    "test_without_special_tokens",
                    "test_truncation",
                    "test_padding",
                    "test_truncation_beyond_the_model",
                    "test_dimensions",
                    "test_engine_options",
                ),
            },
        ),
        Loss(
            "it asks for the `parameters` of a function",
            {
                "test_tools": ("test_function_without_arguments",),
            },
        ),
        Loss(
            "it takes JSON only, no forms with audio",
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
                    "test_refused[language]",
                    "test_refused[garbage]",
                    "test_refused[temperature]",
                    "test_refused[temperature below zero]",
                    "test_refused[speakers]",
                    "test_refused[prompt]",
                    "test_unknown_model",
                    "test_a_cut_upload_does_not_harm_the_next",
                    "test_a_chat_model_does_not_transcribe",
                ),
            },
        ),
    ),
    "smg": (
        *_OPENAI_ROUTES,
        Loss(
            "it takes texts as prompts, no tokens",
            {"test_completion": ("test_token_ids_both_ways", "test_prompts_of_token_ids")},
        ),
        Loss(
            "it checks values itself, by limits and in words of its own, and names other fields",
            {
                "test_logprobs": ("test_too_many",),
                "test_sampling": (
                    "test_zero_is_not_unset",
                    "test_everything_at_its_neutral_value",
                ),
                "test_tools": (
                    "test_choice_without_tools",
                    "test_unknown_function",
                ),
                "test_transcription": (
                    "test_refused[temperature]",
                    "test_refused[temperature below zero]",
                ),
            },
        ),
        Loss(
            "it asks for `input`, which conversations do not have",
            {"test_embedding": ("test_conversations",)},
        ),
        Loss(
            "it drops the number format of embeddings, and so the vectors are plain floats",
            {"test_embedding": ("test_number_formats", "test_dimensions")},
        ),
        Loss(
            "it drops the options of embeddings that OpenAI does not have",
            {
                "test_embedding": (
                    "test_without_activation",
                    "test_without_special_tokens",
                    "test_truncation",
                    "test_padding",
                    "test_truncation_beyond_the_model",
                    "test_engine_options",
                ),
            },
        ),
        Loss(
            "it publishes no list of routes",
            {"test_embedding": ("test_what_the_model_serves",)},
        ),
        Loss(
            "it answers the list of models itself, and so no key is checked",
            {"test_keys": ("test_without_the_right_key",)},
        ),
        Loss(
            "it lists the first name of a model only",
            {"test_models": ("test_list", "test_pages", "test_get")},
        ),
        Loss(
            "it answers rerankings with HTTP 500, as it cannot read vLLM's answer",
            {
                "test_rerank": (
                    "test_order",
                    "test_the_same_text_fits_best",
                    "test_documents_are_those_of_the_request",
                    "test_empty_document",
                    "test_top_n",
                    "test_equal_scores_in_the_order_of_the_request",
                    "test_raw_scores",
                    "test_engine_options",
                    "test_an_unknown_parameter_passes",
                ),
            },
        ),
        Loss(
            "it drops the option that cuts the texts of a reranking",
            {"test_rerank": ("test_truncation",)},
        ),
        Loss(
            "its Responses API refuses fields that only vLLM has, or drops them",
            {
                "test_response": (
                    "test_unfinished_message_is_continued",
                    "test_hidden_reasoning",
                    "test_templates",
                ),
            },
        ),
        Loss(
            "it drops the options that ask for usage in a stream of a transcription",
            {
                "test_transcription": (
                    "test_stream_equals_the_answer[transcribe]",
                    "test_long_audio[transcribe]",
                    "test_continuous_usage",
                    "test_request_id",
                    "test_finish_by_length",
                ),
            },
        ),
    ),
    "litellm": (
        *_OPENAI_ROUTES,
        Loss(
            "it does not stop the model when a unary call is left",
            {"test_cancelling": ("test_unary_call_is_cancelled", "test_deadline_of_a_unary_call")},
        ),
        Loss(
            "a stream of several choices has the finish of one, so that the rest may be missing",
            {
                "test_chat": ("test_prompt_is_returned_once_for_all_choices",),
                "test_completion": ("test_choices_go_prompt_by_prompt",),
                "test_sampling": ("test_several_choices",),
            },
        ),
        Loss(
            "it drops what vLLM adds to OpenAI's answers: prompts, tokens, stop strings, usage "
            "beside each event",
            {
                "test_chat": (
                    "test_stream_comes_in_pieces",
                    "test_prompt_text",
                    "test_token_ids",
                    "test_usage_on_every_message",
                ),
                "test_completion": ("test_stop_string",),
                "test_sampling": (
                    "test_stop_string",
                    "test_stop_string_kept",
                    "test_stop_token",
                    "test_token_lists",
                ),
            },
        ),
        Loss(
            "its streams differ from its whole answers in log probabilities and finish reasons",
            {
                "test_completion": (
                    "test_logprobs_with_offsets",
                    "test_logprobs_of_an_echoed_prompt",
                ),
                "test_logprobs": ("test_bytes_of_wide_characters", "test_tokens_as_ids"),
                "test_reasoning": ("test_logprobs_of_reasoning",),
                "test_tools": ("test_named",),
            },
        ),
        Loss(
            "it adds fields of its own to chats",
            {"test_chat": ("test_nothing_unknown_comes_back",)},
        ),
        Loss(
            "it does not pass on the id of the request",
            {
                "test_chat": ("test_request_id_names_the_answer",),
                "test_completion": ("test_request_id",),
            },
        ),
        Loss(
            "it answers prompts of tokens with HTTP 500: it takes texts only",
            {
                "test_completion": (
                    "test_token_ids_both_ways",
                    "test_prompts_of_token_ids",
                    "test_unknown_token",
                ),
            },
        ),
        Loss(
            "it answers with HTTP 500 where a completion has options that OpenAI's library lacks",
            {
                "test_completion": (
                    "test_response_format",
                    "test_grammar_that_cannot_be_compiled",
                ),
            },
        ),
        Loss(
            "its errors do not name the parameter, and in a stream not the status either",
            {
                "test_completion": (
                    "test_rejected[suffix]",
                    "test_rejected[too many logprobs]",
                ),
                "test_reasoning": ("test_unknown_effort",),
                "test_refusals": ("test_value_out_of_range", "test_extra_body_arrives"),
                "test_transcription": ("test_refused[prompt]",),
            },
        ),
        Loss(
            "it drops a choice of tools without tools, which vLLM refuses",
            {"test_tools": ("test_choice_without_tools",)},
        ),
        Loss(
            "its Responses API is not taken for one of vLLM's: responses are made by chats",
            {
                "test_response": (
                    "test_bad_schema",
                    "test_nothing_is_stored_by_default",
                    "test_background_needs_a_store",
                ),
            },
        ),
        Loss(
            "it drops the id of embeddings; what the cases ask for besides is not seen then",
            {
                "test_embedding": (
                    "test_texts",
                    "test_a_text_has_one_vector",
                    "test_order_of_a_large_batch",
                    "test_token_ids",
                    "test_number_formats",
                    "test_without_activation",
                    "test_without_special_tokens",
                    "test_truncation",
                    "test_padding",
                    "test_dimensions",
                    "test_engine_options",
                    "test_extra_body",
                    "test_reply_over_the_message_limit",
                ),
            },
        ),
        Loss(
            "it asks for `input`, which conversations do not have",
            {"test_embedding": ("test_conversations",)},
        ),
        Loss(
            "it publishes its own list of routes",
            {"test_embedding": ("test_what_the_model_serves",)},
        ),
        Loss(
            "it checks keys itself, in words of its own",
            {"test_keys": ("test_without_the_right_key",)},
        ),
        Loss(
            "it describes models in words of its own",
            {"test_models": ("test_list", "test_get")},
        ),
        Loss(
            "it leaves the model out of a reranking, and writes usage in another place",
            {
                "test_rerank": (
                    "test_order",
                    "test_the_same_text_fits_best",
                    "test_documents_are_those_of_the_request",
                    "test_empty_document",
                    "test_top_n",
                    "test_equal_scores_in_the_order_of_the_request",
                    "test_raw_scores",
                    "test_truncation",
                    "test_engine_options",
                    "test_an_unknown_parameter_passes",
                ),
            },
        ),
        Loss(
            "it answers streams of transcriptions in one piece, which has no finish",
            {
                "test_transcription": (
                    "test_stream_equals_the_answer[transcribe]",
                    "test_audio_in_one_message_is_streamed_too",
                    "test_long_audio[transcribe]",
                    "test_continuous_usage",
                    "test_request_id",
                    "test_finish_by_length",
                ),
            },
        ),
    ),
    "ray": (
        Loss(
            "it has one name for a model, which it describes in words of its own",
            {"test_models": ("test_list", "test_pages", "test_get")},
        ),
        Loss(
            "its errors name the parameter only in their text",
            {
                "test_refusals": (
                    "test_value_out_of_range[temperature]",
                    "test_value_out_of_range[temperature below zero]",
                    "test_value_out_of_range[top_p]",
                    "test_value_out_of_range[max_tokens]",
                    "test_value_out_of_range[logit_bias]",
                    "test_value_out_of_range[truncation]",
                ),
            },
        ),
        Loss(
            "it has no Responses API: responses are made by chats",
            {
                "test_response": (
                    "test_bad_schema",
                    "test_nothing_is_stored_by_default",
                    "test_background_needs_a_store",
                ),
            },
        ),
        Loss(
            "it has the routes of tokenization, but answers that the model does not support them",
            {
                "test_tokenization": (
                    "test_round_trip",
                    "test_token_strings",
                    "test_special_tokens",
                    "test_a_conversation_counts_as_its_chat",
                    "test_tools_are_part_of_the_prompt",
                    "test_template_options",
                    "test_unknown_tokens_are_left_out",
                    "test_an_unknown_parameter_passes",
                    "test_items_of_a_stream",
                ),
            },
        ),
    ),
}
"""The losses of each router; proxies that only forward bytes, like nginx and Envoy, have none."""


def mark_losses(item: pytest.Item, router: str) -> None:
    """Marks a case that must fail through the router."""
    for loss in LOSSES.get(router, ()):
        expected_failures.mark(item, loss.cases, loss.why)
