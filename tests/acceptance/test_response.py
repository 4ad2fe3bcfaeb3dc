"""Responses, converted to chats and by the upstream's own API: both must be the same."""

import json
from collections.abc import AsyncIterator

import grpc
import pytest
from conftest import Serve
from documents import document
from operations.response_calls import Responses, asking, call, end_of, result, said, tool
from operations.response_reader import known_to_both

from penstock.channel import open_async_channel
from penstock.v1 import message_pb2, response_pb2
from penstock.v1.common_pb2 import JsonDocument, LogprobOptions, SamplingParams

from .chats import MARK
from .conftest import Target
from .refusals import refused

COMPLETED = response_pb2.RESPONSE_STATUS_COMPLETED
USER, ASSISTANT = message_pb2.ROLE_USER, message_pb2.ROLE_ASSISTANT
SYSTEM = message_pb2.ROLE_SYSTEM
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture
async def converted(target: Target) -> Responses:
    """Responses that are converted to chats."""
    return Responses(target.channel)


@pytest.fixture
async def native(target: Target, serve: Serve) -> AsyncIterator[Responses]:
    """Responses by the upstream's own API, which this upstream has."""
    service = await serve(
        upstream=(target.upstream.url,),
        upstream_api_key=target.kind.api_key,
        native_responses="auto",
    )
    async with open_async_channel(f"127.0.0.1:{service.port}") as channel:
        yield Responses(channel)


def unmarked(response: response_pb2.ModelResponse) -> response_pb2.ModelResponse:
    """Removes the mark in front of reasoning."""
    for item in response.output:
        if item.HasField("reasoning"):
            item.reasoning.content[:] = [one.removeprefix(MARK) for one in item.reasoning.content]
    return response


@pytest.fixture
def both(converted: Responses, native: Responses) -> "Both":
    """Responses in both ways."""
    return Both(converted, native)


class Both:
    """Responses in every available way; all of them must be the same."""

    def __init__(self, converted: Responses, native: Responses) -> None:
        self.ways = (converted, native)

    async def respond(
        self, request: response_pb2.CreateResponseRequest
    ) -> response_pb2.ModelResponse:
        """Returns the unary answer that was converted from a chat."""
        wholes = [await way.whole(request) for way in self.ways]
        ends = [unmarked(end_of(await way.stream(request))) for way in self.ways]
        first = known_to_both(wholes[0], request)
        for other in (*wholes[1:], *ends):
            assert known_to_both(other, request) == first
        return wholes[0]


async def test_text(both: Both) -> None:
    response = await both.respond(asking("Say hello.", metadata={"who": "me"}, user="x"))
    (item,) = response.output
    assert [part.text for part in item.message.content] == ["Hello! How can I help you today?"]
    assert response.status == item.status == COMPLETED
    assert response.usage.output_tokens > 0


async def test_instructions(both: Both) -> None:
    request = asking("Say hello.", instructions="You are a helpful assistant.")
    response = await both.respond(request)
    assert response.settings.instructions == "You are a helpful assistant."
    assert response.output[0].message.content[0].text == "Hello! How can I help you today?"


async def test_cut_off(both: Both) -> None:
    request = asking("Tell me a story.", sampling=SamplingParams(max_tokens=5))
    response = await both.respond(request)
    assert response.status == response_pb2.RESPONSE_STATUS_INCOMPLETE
    assert response.incomplete_reason == "max_output_tokens"
    assert response.usage.output_tokens == 5


async def test_call(both: Both) -> None:
    request = asking("What is the weather in Paris?", tools=[tool("get_weather")])
    response = await both.respond(request)
    (item,) = response.output
    assert item.function_call.name == "get_weather"
    assert json.loads(item.function_call.arguments) == {"city": "Paris"}
    assert item.function_call.call_id


async def test_text_and_calls(both: Both) -> None:
    tools = [tool("get_weather"), tool("get_time")]
    response = await both.respond(asking("Weather in Paris and time in London?", tools=tools))
    text, *calls = response.output
    assert text.message.content[0].text.strip() == "Let me check both."
    assert [item.function_call.name for item in calls] == ["get_weather", "get_time"]


async def test_only_the_first_call(both: Both) -> None:
    tools = [tool("get_weather"), tool("get_time")]
    question = "Weather in Paris and time in London?"
    response = await both.respond(asking(question, tools=tools, parallel_tool_calls=False))
    assert [item.WhichOneof("item") for item in response.output] == ["message", "function_call"]


async def test_answer_can_be_sent_back(both: Both) -> None:
    first = asking("What is the weather in Paris?", tools=[tool("get_weather")])
    for way in both.ways:
        made = (await way.whole(first)).output
        second = response_pb2.CreateResponseRequest(
            input=[
                said(USER, "What is the weather in Paris?"),
                *made,
                result(made[-1].function_call.call_id, "sunny, 21C"),
            ],
            sampling=first.sampling,
            tools=first.tools,
        )
        answer = await way.whole(second)
        assert answer.output[-1].message.content[0].text


async def test_second_turn(both: Both) -> None:
    request = asking("", tools=[tool("get_weather")])
    request.input.extend(
        [
            said(USER, "What is the weather in Paris?"),
            call("call_1", "get_weather", '{"city": "Paris"}'),
            result("call_1", "sunny, 21C"),
        ]
    )
    response = await both.respond(request)
    text = response.output[-1].message.content[0].text
    assert text == "It is sunny in Paris, 21 degrees."


async def test_json_schema(both: Both) -> None:
    form = message_pb2.JsonSchemaFormat(name="person", schema=JsonDocument(json=json.dumps(PERSON)))
    request = asking(
        "Say hello.",
        text_format=message_pb2.ResponseFormat(json_schema=form),
        sampling=SamplingParams(max_tokens=60),
    )
    response = await both.respond(request)
    person = json.loads(response.output[0].message.content[0].text)
    assert (type(person["name"]), type(person["age"])) == (str, int)


async def test_unfinished_message_is_continued(both: Both) -> None:
    request = asking("")
    begun = said(ASSISTANT, "Hello! How", status=response_pb2.RESPONSE_STATUS_INCOMPLETE)
    request.input.extend([said(USER, "Say hello."), begun])
    response = await both.respond(request)
    assert response.output[0].message.content[0].text == " can I help you today?"


async def test_logprobs(both: Both) -> None:
    request = asking("Hi", logprobs=LogprobOptions(top_logprobs=1))
    wholes = [await way.whole(request) for way in both.ways]
    for whole in wholes:
        entries = whole.output[0].message.content[0].logprobs
        spelled = b"".join(entry.bytes for entry in entries)
        assert spelled.startswith(b"Hi there!")
        assert all(len(entry.top_logprobs) == 1 for entry in entries)
    assert known_to_both(wholes[0], request) == known_to_both(wholes[1], request)
    for way in both.ways:
        events = await way.stream(request)
        deltas = [e.output_text_delta for e in events if e.HasField("output_text_delta")]
        assert all(len(delta.logprobs) >= 1 for delta in deltas)


@pytest.mark.upstream("reason")
async def test_reasoning(both: Both) -> None:
    response = await both.respond(asking("What is 2+2?"))
    reasoning, text = response.output
    assert "Two plus two" in reasoning.reasoning.content[0]
    assert text.message.content[0].text.strip() == "2+2 equals 4."
    assert response.usage.output_tokens_details.reasoning_tokens > 0


@pytest.mark.upstream("reason")
async def test_hidden_reasoning(both: Both) -> None:
    response = await both.respond(asking("What is 2+2?", include_reasoning=False))
    (text,) = response.output
    assert text.message.content[0].text.strip() == "2+2 equals 4."


async def test_unknown_model(both: Both) -> None:
    for way in both.ways:
        refusal = await refused(way.stub.CreateResponse(asking("Hi", model="nope")))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_too_long(both: Both) -> None:
    request = asking("hello world " * 700)
    for way in both.ways:
        refusal = await refused(way.stub.CreateResponse(request))
        assert refusal.reason == "CONTEXT_LENGTH_EXCEEDED"
        streamed = way.stub.StreamResponse(request)
        assert await refused(streamed.read()) == refusal


async def test_upstream_names_our_field(both: Both) -> None:
    request = asking("Hi", sampling=SamplingParams(temperature=-4))
    for way in both.ways:
        refusal = await refused(way.stub.CreateResponse(request))
        assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.fields == ("sampling.temperature",)


async def test_bad_schema(both: Both) -> None:
    schema = message_pb2.JsonSchemaFormat(name="x", schema=JsonDocument(json='{"type":"nonsense"}'))
    request = asking("x", text_format=message_pb2.ResponseFormat(json_schema=schema))
    for way in both.ways:
        refusal = await refused(way.stub.CreateResponse(request))
        assert refusal.reason == "UPSTREAM_REJECTED"
    converted, native = both.ways
    refusal = await refused(converted.stub.StreamResponse(request).read())
    assert refusal.reason == "UPSTREAM_REJECTED"
    # By then, vLLM's own stream has begun; it ends without an error. A busy router may close its
    # connection before it has forwarded every event.
    names: list[str | None] = []

    async def collect() -> None:
        async for event in native.stub.StreamResponse(request):
            names.append(event.WhichOneof("event"))

    refusal = await refused(collect())
    assert names == ["created", "in_progress"][: len(names)]
    assert refusal.code == grpc.StatusCode.UNAVAILABLE
    assert refusal.reason == ("STREAM_INTERRUPTED" if names else "UPSTREAM_CLOSED")
    assert int(refusal.metadata.get("messagesSent", 0)) == len(names)


async def test_nothing_is_stored_by_default(both: Both) -> None:
    converted, native = both.ways
    get = response_pb2.GetResponseRequest(response_id="resp_none")
    cancel = response_pb2.CancelResponseRequest(response_id="resp_none")
    refusals = [
        await refused(native.stub.GetResponse(get)),
        await refused(native.stub.CancelResponse(cancel)),
        await refused(native.stub.CreateResponse(asking("Hi", previous_response_id="resp_none"))),
    ]
    for refusal in refusals:
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "RESPONSE_NOT_FOUND",
        )
    for one in (
        await refused(converted.stub.GetResponse(get)),
        await refused(converted.stub.CancelResponse(cancel)),
    ):
        assert (one.code, one.reason) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "UNSUPPORTED_OPERATION",
        )
        assert one.fields == ("response_id",)


async def test_background_needs_a_store(both: Both) -> None:
    converted, native = both.ways
    request = asking("Hi", background=True)
    refusal = await refused(native.stub.CreateResponse(request))
    assert (refusal.reason, refusal.fields) == ("UPSTREAM_REJECTED", ("background",))
    refusal = await refused(converted.stub.CreateResponse(request))
    assert (refusal.reason, refusal.fields) == ("UNSUPPORTED_OPERATION", ("background",))


async def test_templates(both: Both) -> None:
    kwargs = document({"enable_thinking": False})
    request = asking(
        "Say hello.", template=message_pb2.TemplateOptions(chat_template_kwargs=kwargs)
    )
    response = await both.respond(request)
    assert response.output[0].message.content[0].text == "Hello! How can I help you today?"
