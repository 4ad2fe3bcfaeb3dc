"""Responses read independently: converted back to the API's JSON for OpenAI's SDK."""

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from penstock.v1 import message_pb2, response_pb2

Json = dict[str, Any]

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_TRUNCATIONS = {1: "disabled", 2: "auto"}
_STATUS = response_pb2.ResponseStatus
_WHOLE = ("created", "in_progress", "completed", "incomplete", "failed", "queued")


def check(response: response_pb2.ModelResponse) -> Response:
    """Lets the SDK read a response, which must have the API's types."""
    return Response.model_validate(response_json(response), strict=True)


def check_stream(events: Sequence[response_pb2.StreamResponseResponse]) -> Response:
    """Lets the SDK read and add up a stream; its result must equal the terminal event."""
    read = [_EVENTS.validate_python(event_json(event)) for event in events]
    assert [event.type for event in read] == [event_type(event) for event in events]
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in read:
        state.handle_event(event)
    end: Response = read[-1].response
    return end


def event_type(event: response_pb2.StreamResponseResponse) -> str:
    """Returns the name of an event in the API."""
    arm = event.WhichOneof("event")
    assert arm
    if arm == "other":
        return str(json.loads(event.other.json)["type"])
    what, _, when = arm.rpartition("_")
    return f"response.{what}.{when}" if when in ("added", "done", "delta") else f"response.{arm}"


def event_json(event: response_pb2.StreamResponseResponse) -> Json:
    """Returns an event in the API's form."""
    arm = event.WhichOneof("event")
    assert arm
    if arm == "other":
        found: Json = json.loads(event.other.json)
        return found
    made = {"type": event_type(event), "sequence_number": event.sequence_number}
    value = getattr(event, arm)
    if arm in _WHOLE:
        return made | {"response": response_json(value)}
    if isinstance(value, response_pb2.OutputItemEvent):
        return made | {"output_index": value.output_index, "item": item_json(value.item)}
    made |= {"output_index": value.output_index, "item_id": value.item_id}
    if isinstance(value, response_pb2.ArgumentsEvent):
        key = "delta" if arm.endswith("delta") else "arguments"
        return made | {key: value.arguments, "name": value.name}
    made["content_index"] = value.content_index
    if isinstance(value, response_pb2.ContentPartEvent):
        return made | {"part": part_json(value.part)}
    key = "delta" if arm.endswith("delta") else "refusal" if "refusal" in arm else "text"
    return made | {key: value.text, "logprobs": logprobs_json(value.logprobs)}


def response_json(response: response_pb2.ModelResponse) -> Json:
    """Returns a response in the API's form."""
    echoed = response.settings
    made: Json = {
        "id": response.id,
        "object": "response",
        "model": response.model,
        "created_at": float(response.create_time.seconds),
        "status": status_name(response.status),
        "output": [item_json(item) for item in response.output],
        "parallel_tool_calls": echoed.parallel_tool_calls,
        "tool_choice": _tool_choice(echoed.tool_choice),
        "tools": [_tool(tool) for tool in echoed.tools],
        "metadata": dict(echoed.metadata),
        "truncation": _TRUNCATIONS[echoed.truncation],
        "service_tier": echoed.service_tier,
    }
    for name in ("temperature", "top_p", "max_output_tokens", "top_logprobs", "background"):
        if echoed.HasField(name):
            made[name] = getattr(echoed, name)
    if echoed.instructions:
        made["instructions"] = echoed.instructions
    if echoed.HasField("text_format"):
        made["text"] = {"format": _text_format(echoed.text_format)}
    if echoed.reasoning.effort:
        made["reasoning"] = {"effort": echoed.reasoning.effort}
    if response.HasField("usage"):
        made["usage"] = _usage(response.usage)
    if response.incomplete_reason:
        made["incomplete_details"] = {"reason": response.incomplete_reason}
    if response.HasField("error"):
        made["error"] = {"code": response.error.code, "message": response.error.message}
    return made


def item_json(item: response_pb2.ResponseItem) -> Json:
    """Returns an item in the API's form."""
    made: Json = {"id": item.id, "status": status_name(item.status)}
    match item.WhichOneof("item"):
        case "message":
            parts = [part_json(part) for part in item.message.content]
            assert item.message.role == message_pb2.ROLE_ASSISTANT
            return made | {"type": "message", "role": "assistant", "content": parts}
        case "function_call":
            call = item.function_call
            called = {"call_id": call.call_id, "name": call.name, "arguments": call.arguments}
            return made | {"type": "function_call", **called}
        case "reasoning":
            texts = [{"type": "reasoning_text", "text": text} for text in item.reasoning.content]
            return made | {"type": "reasoning", "summary": [], "content": texts}
        case "other":
            other: Json = json.loads(item.other.json)
            return other
    raise AssertionError(item)


def part_json(part: response_pb2.ResponseContentPart) -> Json:
    """Returns a part in the API's form."""
    match part.WhichOneof("part"):
        case "text":
            annotations = [json.loads(one.json) for one in part.annotations]
            entries = logprobs_json(part.logprobs)
            more = {"annotations": annotations, "logprobs": entries}
            return {"type": "output_text", "text": part.text, **more}
        case "refusal":
            return {"type": "refusal", "refusal": part.refusal}
        case "reasoning":
            return {"type": "reasoning_text", "text": part.reasoning}
    raise AssertionError(part)


def logprobs_json(entries: Any) -> list[Json]:
    """Returns log probabilities in the API's form."""
    return [
        {
            "token": entry.token,
            "logprob": entry.logprob,
            "bytes": list(entry.bytes),
            **({"top_logprobs": logprobs_json(tops)} if tops is not None else {}),
        }
        for entry in entries
        for tops in [getattr(entry, "top_logprobs", None)]
    ]


def status_name(status: response_pb2.ResponseStatus.ValueType) -> str | None:
    """Returns the name of a status in the API."""
    return _STATUS.Name(status).removeprefix("RESPONSE_STATUS_").lower() if status else None


def _usage(usage: response_pb2.ResponseUsage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.input_tokens_details.cached_tokens,
            "cache_write_tokens": usage.input_tokens_details.cache_write_tokens,
        },
        "output_tokens_details": {"reasoning_tokens": usage.output_tokens_details.reasoning_tokens},
    }


def _tool(tool: message_pb2.Tool) -> Json:
    function = tool.function
    parameters = json.loads(function.parameters.json) if function.HasField("parameters") else None
    strict = function.strict if function.HasField("strict") else None
    named = {"type": "function", "name": function.name, "description": function.description}
    return named | {"parameters": parameters, "strict": strict}


def _tool_choice(choice: message_pb2.ToolChoice) -> Any:
    if choice.WhichOneof("choice") == "function_name":
        return {"type": "function", "name": choice.function_name}
    return message_pb2.ToolChoice.Mode.Name(choice.mode).removeprefix("MODE_").lower()


def _text_format(form: message_pb2.ResponseFormat) -> Json:
    if form.HasField("json_schema"):
        schema = json.loads(form.json_schema.schema.json)
        return {"type": "json_schema", "name": form.json_schema.name, "schema": schema}
    return {"type": str(form.WhichOneof("format"))}


def known_to_both(
    response: response_pb2.ModelResponse, request: response_pb2.CreateResponseRequest
) -> Any:
    """Returns the facts of a response that both APIs report, without ids and times.

    Only the Responses API itself reports the numbers of a request that it fills in.
    """
    numbers = {"temperature", "top_p", "frequency_penalty", "presence_penalty"}
    given = {field.name for field, _ in request.sampling.ListFields()} & numbers
    if request.sampling.HasField("max_tokens"):
        given.add("max_output_tokens")
    items = []
    for item in response.output:
        shown = MessageToDict(item, preserving_proto_field_name=True)
        shown.pop("id")
        # vLLM reports an item as completed even if it was truncated; a chat does not report it.
        shown.pop("status", None)
        shown.get("function_call", {}).pop("call_id", None)
        items.append(shown)
    echoed = response.settings
    usage = response.usage
    return {
        "model": response.model,
        "status": status_name(response.status),
        "reason": response.incomplete_reason,
        "output": items,
        "usage": (usage.input_tokens, usage.output_tokens, usage.total_tokens),
        "instructions": echoed.instructions,
        "numbers": {name: getattr(echoed, name) for name in sorted(given)},
        "top_logprobs": (echoed.HasField("top_logprobs"), echoed.top_logprobs),
        "parallel_tool_calls": echoed.parallel_tool_calls,
        "tools": [_tool(tool) for tool in echoed.tools],
        "tool_choice": _tool_choice(echoed.tool_choice),
        "text_format": echoed.HasField("text_format") and _text_format(echoed.text_format),
        "effort": echoed.reasoning.effort,
        "truncation": echoed.truncation,
        "service_tier": echoed.service_tier,
        "background": echoed.background,
        "metadata": dict(echoed.metadata),
        "user": echoed.user,
    }
