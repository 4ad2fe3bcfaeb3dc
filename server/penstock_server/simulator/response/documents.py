"""The documents of the Responses API: the response, its items and their parts."""

from collections.abc import Sequence

from penstock_server.simulator.chat.documents import completion
from penstock_server.simulator.generation.generation import Generation, Step
from penstock_server.simulator.generation.logprobs import chat_logprob
from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.response.request import LOGPROBS, Asked

_TOOL_KEYS = ("name", "parameters", "strict", "type", "allowed_callers", "async")
_MORE_TOOL_KEYS = ("defer_loading", "description", "output_schema")
_SCHEMA_KEYS = ("name", "schema", "type", "description", "strict")


def response(
    asked: Asked, status: str, output: list[Json], generation: Generation | None = None
) -> dict[str, Json]:
    """Returns the whole response; usage is present once the generation is known."""
    values, chat = asked.values, asked.chat
    room = asked.state.settings.max_model_len - len(chat.prompt)
    wants = LOGPROBS in values.get("include", ())
    return {
        "id": asked.id,
        "created_at": asked.created,
        "incomplete_details": _incomplete(status),
        "instructions": values.get("instructions"),
        "metadata": values.get("metadata"),
        "model": chat.model,
        "object": "response",
        "output": output,
        "parallel_tool_calls": values.get("parallel_tool_calls", True),
        "temperature": values.get("temperature", 1.0),
        "tool_choice": asked.tool_choice,
        "tools": [_tool(tool) for tool in values.get("tools", [])],
        "top_p": values.get("top_p", 1.0),
        "background": values.get("background", False),
        "max_output_tokens": min(room, values.get("max_output_tokens", room)),
        "max_tool_calls": values.get("max_tool_calls"),
        "previous_response_id": values.get("previous_response_id"),
        "prompt": None,
        "reasoning": values.get("reasoning"),
        "service_tier": values.get("service_tier", "auto"),
        "status": status,
        "text": _text(values.get("text")),
        "top_logprobs": values.get("top_logprobs", 0) if wants else None,
        "truncation": values.get("truncation", "disabled"),
        "usage": _usage(asked, generation) if generation else None,
        "user": values.get("user"),
        "presence_penalty": values.get("presence_penalty", 0.0),
        "frequency_penalty": values.get("frequency_penalty", 0.0),
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "input_messages": None,
        "output_messages": None,
    }


def status_of(generation: Generation) -> str:
    """Returns the status of a response whose generation ended."""
    return "incomplete" if generation.finish_reason == "length" else "completed"


def output(asked: Asked, generation: Generation) -> list[Json]:
    """Returns the items of a whole answer: reasoning, text and calls."""
    said = completion(asked.chat, generation)["choices"][0]["message"]
    items = []
    if said["reasoning"]:
        items.append(reasoning_item(asked.new_id("rs"), said["reasoning"], None))
    if said["content"]:
        entries = logprobs(asked, generation.steps)
        part = text_part(said["content"], None if asked.chat.hides_thought else entries)
        items.append(message_item(asked.new_id("msg"), [part], "completed"))
    for call in said.get("tool_calls", []):
        items.append(call_item(asked.new_id("fc"), call["id"], call["function"], "completed"))
    return items


def message_item(item_id: str, content: list[Json], status: str) -> dict[str, Json]:
    """Returns a message item."""
    return {
        "id": item_id,
        "content": content,
        "role": "assistant",
        "status": status,
        "type": "message",
        "phase": None,
    }


def reasoning_item(item_id: str, text: str | None, status: str | None) -> dict[str, Json]:
    """Returns a reasoning item, without content at its start."""
    content = None if text is None else [{"text": text, "type": "reasoning_text"}]
    return {
        "id": item_id,
        "summary": [],
        "type": "reasoning",
        "content": content,
        "encrypted_content": None,
        "status": status,
    }


def call_item(item_id: str, call_id: str, function: Json, status: str) -> dict[str, Json]:
    """Returns a function call item."""
    return {
        "arguments": function["arguments"],
        "call_id": call_id,
        "name": function["name"],
        "type": "function_call",
        "id": item_id,
        "async": None,
        "caller": None,
        "namespace": None,
        "status": status,
    }


def text_part(text: str, entries: list[Json] | None) -> dict[str, Json]:
    """Returns a text part."""
    return {"annotations": [], "text": text, "type": "output_text", "logprobs": entries}


def logprobs(asked: Asked, steps: Sequence[Step]) -> list[Json] | None:
    """Returns the log probabilities of tokens, if requested."""
    if LOGPROBS not in asked.values.get("include", ()):
        return None
    count = asked.values.get("top_logprobs", 0)
    return [_entry(chat_logprob(step.token, count, as_ids=False)) for step in steps]


def _entry(entry: Json) -> Json:
    tops = entry.get("top_logprobs")
    more = {} if tops is None else {"top_logprobs": [_entry(top) for top in tops]}
    return {"token": entry["token"], "bytes": entry["bytes"], "logprob": entry["logprob"], **more}


def _incomplete(status: str) -> Json:
    return {"reason": "max_output_tokens"} if status == "incomplete" else None


def _tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        return tool
    return {name: tool.get(name) for name in (*_TOOL_KEYS, *_MORE_TOOL_KEYS)}


def _text(text: Json) -> Json:
    if text is None:
        return None
    form = text.get("format")
    if form and form.get("type") == "json_schema":
        form = {name: form.get(name) for name in _SCHEMA_KEYS}
    return {"format": form, "verbosity": text.get("verbosity")}


def _usage(asked: Asked, generation: Generation) -> Json:
    cached, created = asked.chat.cached
    spent, made = len(asked.chat.prompt), len(generation.steps)
    return {
        "input_tokens": spent,
        "input_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": created,
            "input_tokens_per_turn": [],
            "cached_tokens_per_turn": [],
        },
        "output_tokens": made,
        "output_tokens_details": {
            "reasoning_tokens": generation.reasoning_tokens if asked.chat.thinking else 0,
            "tool_output_tokens": 0,
            "output_tokens_per_turn": [],
            "tool_output_tokens_per_turn": [],
        },
        "total_tokens": spent + made,
    }
