"""Paths of fields that upstream errors name."""

import pytest

from penstock_server.convert.field_path import field_path
from penstock_server.convert.fields import HOMES, REQUESTS

CHAT = "/v1/chat/completions"
PATHS = {
    "body.temperature": "sampling.temperature",
    "max_completion_tokens": "sampling.max_tokens",
    "stop.0": "sampling.stop[0]",
    "messages.2.content": "messages[2].content",
    "messages.0.content.1.image_url.url": "messages[0].content[1]",
    "body.messages.0.ChatCompletionDeveloperMessageParam.content": "messages[0].content",
    "messages.0.ChatCompletionUserMessageParam.nonsense": "messages[0]",
    "tools.0.function.name": "tools[0].function.name",
    "tools.0.function.parameters.properties.x": "tools[0].function.parameters",
    "stream_options.include_usage": "stream_options",
    "response_format.json_schema.schema": "response_format.json_schema.schema",
    "response_format.type": "response_format",
    "temperature.0": "sampling.temperature",
    "36": "36",
    "stream": "stream",
    "unheard_of.0": "unheard_of.0",
}


@pytest.mark.parametrize(("param", "path"), PATHS.items())
def test_paths_in_a_chat(param: str, path: str) -> None:
    assert field_path(CHAT, param) == path


def test_paths_in_others() -> None:
    assert field_path("/v1/responses", "text.format.schema") == "text_format"
    assert field_path("/tokenize", "messages.0.content") == "chat.messages[0].content"
    assert field_path("/v1/embeddings", "messages.3.role") == "inputs[0].chat.messages[3].role"
    assert field_path("/classify", "input.3") == "inputs[3]"
    assert field_path("/nowhere", "input.3") == "input.3"


def test_every_field_of_every_route_has_a_path() -> None:
    assert REQUESTS.keys() == HOMES.keys()
    for route, homes in HOMES.items():
        for key, home in homes.items():
            assert field_path(route, f"{key}.nonsense") == (home or f"{key}.nonsense")
