"""Results as dictionaries, JSON, copies and pickles; clients derived from others."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import penstock
from penstock import (
    AsyncClient,
    CallError,
    Client,
    ClientClosedError,
    DeadlineExceededError,
    NotFoundError,
    errors,
)

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
}


async def test_dictionaries_and_json(client: Client, aclient: AsyncClient) -> None:
    answer = client.chat.create("Say hello.")
    made = answer.to_dict()
    assert made["choices"][0]["message"]["content"] == [{"text": answer.text}]
    assert made["usage"]["completion_tokens"] == 10
    assert json.loads(answer.to_json()) == made
    assert "\n" not in answer.to_json()
    assert answer.to_json(indent=2).startswith('{\n  "')
    assert answer.choices[0].to_dict() == made["choices"][0]
    accented = client.transcribe("examples/tone.wav")
    assert "café" in accented.to_json()
    awaited = await aclient.chat.create("Say hello.")
    assert awaited.to_dict()["choices"] == made["choices"]
    event = next(iter(client.chat.stream("Say hello.")))
    assert json.loads(event.to_json()) == event.to_dict()


@pytest.mark.parametrize("name", COPIES)
async def test_copies_are_whole(name: str, client: Client, aclient: AsyncClient) -> None:
    parsed = client.chat.parse(list[int], "Two numbers?")
    awaited = await aclient.chat.parse(list[int], "Two numbers?")
    for one in (parsed, awaited):
        made = COPIES[name](one)
        assert type(made) is type(one)
        assert (made.parsed, made.text, made.call) == (one.parsed, one.text, one.call)
    for other in (client.chat.create("Say hello."), client.embeddings.create("a")):
        assert COPIES[name](other).proto == other.proto
    with pytest.raises(NotFoundError) as raised:
        client.chat.create("Say hello.", model="nobody")
    made = COPIES[name](raised.value)
    assert (str(made), made.status) == (str(raised.value), raised.value.status)


async def test_derived_clients(client: Client, aclient: AsyncClient) -> None:
    hurried = client.with_options(timeout=0.3, metadata={"x-a": "1"})
    with pytest.raises(DeadlineExceededError):
        hurried.chat.create("[[simulate: silent]]")
    hurried.close()
    assert client.chat.create("Say hello.").text
    patient = hurried.with_options(timeout=None)
    with pytest.raises(ClientClosedError):
        patient.chat.create("Say hello.")
    with pytest.raises(DeadlineExceededError):
        await aclient.with_options(timeout=0.3).chat.create("[[simulate: silent]]")
    derived = aclient.with_options(api_key="k")
    assert (await derived.chat.create("Say hello.")).text
    await derived.close()
    assert (await aclient.chat.create("Say hello.")).text


def test_a_derived_client_is_closed_with_its_origin(target: str) -> None:
    client = Client(target)
    derived = client.with_options(timeout=60)
    client.close()
    with pytest.raises(ClientClosedError):
        derived.chat.create("Say hello.")
    with pytest.raises(ValueError, match="API key"):
        Client(target).with_options(api_key=" k")


async def test_names_of_openai(client: Client, aclient: AsyncClient) -> None:
    messages = [{"role": "user", "content": "Say hello."}]
    answer = client.chat.completions.create(messages=messages, model="tiny-chat")
    assert answer.choices[0].text == answer.text
    assert (await aclient.chat.completions.create(messages=messages)).text == answer.text
    with pytest.raises(penstock.APIStatusError) as raised:
        client.chat.create("x", model="nobody")
    assert isinstance(raised.value, penstock.APIError)
    assert penstock.RateLimitError is errors.ResourceExhaustedError
    assert issubclass(penstock.BadRequestError, CallError)


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ({"temprature": 0}, "; did you mean 'temperature'?"),
        ({"time_out": 0}, "; did you mean 'timeout'?"),
        ({"stream": True}, "; use the method `stream` instead of `create`"),
        ({"max_completion_tokens": 1}, "; use max_tokens"),
        ({"engine": {"prioriti": 1}}, "no field 'prioriti'; did you mean 'priority'?"),
    ],
)
def test_unknown_options(option: dict[str, Any], advice: str, client: Client) -> None:
    with pytest.raises(TypeError) as raised:
        client.chat.create("x", **option)
    assert str(raised.value).endswith(advice)


async def test_what_is_not_audio(client: Client, aclient: AsyncClient) -> None:
    given: Any = 123
    for call in (client.transcribe, client.transcribe.stream, aclient.transcribe.stream):
        with pytest.raises(TypeError, match="123 is not audio; pass a path, bytes or a binary"):
            call(given)
    with pytest.raises(TypeError, match="123 is not audio"):
        await aclient.transcribe(given)


def test_a_field_is_named_once(client: Client) -> None:
    with pytest.raises(penstock.BadRequestError) as raised:
        client.chat.create([])
    assert str(raised.value).count("messages") == 1, raised.value
    assert "(at " not in str(raised.value)
