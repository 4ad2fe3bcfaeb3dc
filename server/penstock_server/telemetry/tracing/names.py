"""The names of attributes, events and spans.

They follow the semantic conventions of OpenTelemetry: for RPCs those of version 1.40 and later,
for generative AI the deployed ones (up to version 1.41 of the main repository), for HTTP the stable
ones. Names that begin with `penstock` are of this service.
"""

from collections.abc import Mapping

# RPC
RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.status_code"
OTHER_METHOD = "_OTHER"
"""Stands for methods that the service does not have, which callers can invent without limit."""

ERROR_TYPE = "error.type"
PEER_ADDRESS = "network.peer.address"
PEER_PORT = "network.peer.port"

# HTTP
HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
HTTP_RESENDS = "http.request.resend_count"
URL_TEMPLATE = "url.template"
URL_PATH = "url.path"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

# Generative AI
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_ID = "gen_ai.request.id"
"""Of vLLM's own spans: the request id of a call is the beginning of the request ids there."""
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
STOP_SEQUENCES = "gen_ai.request.stop_sequences"
OUTPUT_TYPE = "gen_ai.output.type"

REQUEST_NUMBERS: Mapping[str, str] = {
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "n": "gen_ai.request.choice.count",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "temperature": "gen_ai.request.temperature",
    "top_k": "gen_ai.request.top_k",
    "top_p": "gen_ai.request.top_p",
}
"""vLLM's request fields that are numbers, each with its attribute."""

REQUEST_TEXTS: Mapping[str, str] = {
    "reasoning_effort": "gen_ai.request.reasoning.level",
}
"""Those that are texts; without ids of responses, which are enough to read these."""

STREAM = "gen_ai.request.stream"

# Contents, which are recorded on request only
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"

MESSAGE_FINISH_REASONS: Mapping[str, str] = {"tool_calls": "tool_call"}
"""vLLM's finish reasons that have another name in these messages."""

WITH_CONTENTS = frozenset({"chat", "text_completion", "responses"})
"""Operations whose contents can be recorded."""

OUTPUT_TYPES: Mapping[str, str] = {"text": "text", "json_object": "json", "json_schema": "json"}
"""Types of `response_format`, each with the value of `gen_ai.output.type`."""

# This service
REASON = "penstock.reason"
CALLER = "penstock.caller"
ATTEMPTS = "penstock.attempts"
MESSAGES = "penstock.messages"
UPSTREAM = "penstock.upstream"
HEDGED = "penstock.hedge"

# Events
RETRY = "penstock.retry"
HEDGE = "penstock.hedge"
FIRST_TOKEN = "penstock.first_token"
