"""Every resource except chats, with both clients, against a service."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock import (
    AsyncClient,
    CallError,
    Client,
    InvalidRequestError,
    NotFoundError,
    Response,
    UnavailableError,
    UnimplementedError,
    system,
    tool_result,
    user,
)
from penstock.v1.response_pb2 import ModelResponse
from penstock_server.app import Service
from penstock_server.simulator import Simulator

from .conftest import silence

HELLO = "Hello! How can I help you today?"
DOCUMENTS = ["Berlin is in Germany.", "Paris is in France."]


def get_weather(city: str) -> str:
    return f"sunny in {city}"


async def test_generation(client: Client, aclient: AsyncClient) -> None:
    prompt = client.tokenize([user("Say hello.")]).ids
    options: Any = {"max_tokens": 3, "n": 2, "logprobs": 1, "output_mode": "text"}
    whole = client.generation.create(prompt, **options)
    assert whole.text == "Hello! How"
    assert len(whole.choices) == 2
    assert len(whole.token_ids) == len(whole.logprobs) == 3
    assert (whole.finish_reason, whole.stop_reason) == ("length", None)
    assert whole.proto.choices[0].weight_versions[0].end == 3
    other = await aclient.generation.create(prompt, **options)
    with client.generation.stream(prompt, **options) as stream:
        assert [event.text for event in stream if event.text] == ["Hello", "!", " How"]
    async with aclient.generation.stream(prompt, **options) as astream:
        ids = [one async for event in astream for one in event.token_ids]
    assert ids == list(whole.token_ids)
    for same in (other, stream.final(), await astream.final()):
        assert list(same.proto.choices) == list(whole.proto.choices)
        assert same.usage.completion_tokens == 6


def test_parts_of_a_generation(client: Client) -> None:
    options: Any = {"max_tokens": 2, "engine": {"return_token_ids": True}}
    assert list(client.generation.create([5, 6], **options).prompt_token_ids) == [5, 6]
    assert list(client.generation.stream([5, 6], **options).final().prompt_token_ids) == [5, 6]
    assert not client.generation.create([5, 6], **options).message.content
    with pytest.raises(InvalidRequestError):
        client.generation.create([5], prompt_logprob_token_ids=[[1], [-1]])


@pytest.mark.parametrize("prompts", ["Once upon a time", ["Once", "Twice"], [1, 2], [[1], [2]]])
async def test_completions(prompts: Any, client: Client, aclient: AsyncClient) -> None:
    options: Any = {"max_tokens": 3, "n": 2, "logprobs": 1}
    whole = client.completions.create(prompts, **options)
    several = isinstance(prompts, list) and not isinstance(prompts[0], int)
    assert len(whole.choices) == (4 if several else 2)
    assert [choice.index for choice in whole.choices] == list(range(len(whole.choices)))
    for other in (
        client.completions.stream(prompts, **options).final(),
        await aclient.completions.create(prompts, **options),
        await aclient.completions.stream(prompts, **options).final(),
    ):
        assert [choice.proto for choice in other.choices] == [
            choice.proto for choice in whole.choices
        ]
        assert other.usage.completion_tokens == whole.usage.completion_tokens
    assert (whole.text, whole.finish_reason) == (whole.choices[0].text, "length")
    assert len(whole.logprobs) == 3


def essence(response: Response) -> ModelResponse:
    """Returns a response without the parts that differ between two calls."""
    made = ModelResponse(output=response.output, status=response.proto.status)
    for item in made.output:
        item.id = ""
        item.function_call.call_id = "" if not item.HasField("function_call") else "x"
    return made


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ("Say hello.", {}),
        ([system("You are a helpful assistant."), "Say hello."], {"temperature": 0}),
        ("Say hello.", {"logprobs": 1}),
        ("What is the weather in Paris?", {"tools": [get_weather]}),
        ("Count to ten.", {"max_tokens": 3}),
        ("Say hello.", {"labels": {"a": "b"}, "reasoning": {"effort": "low"}}),
    ],
)
async def test_responses(given: Any, options: Any, client: Client, aclient: AsyncClient) -> None:
    whole = client.responses.create(given, **options)
    with client.responses.stream(given, **options) as stream:
        seen = [(event, stream.snapshot) for event in stream]
    assert "".join(event.text for event, _ in seen) == whole.text
    assert seen[0][0].type == "response.created"
    before_last = seen[-2][1]
    for other in (
        stream.final(),
        await aclient.responses.create(given, **options),
        await aclient.responses.stream(given, **options).final(),
    ):
        assert essence(other) == essence(whole)
        assert other.usage.output_tokens == whole.usage.output_tokens > 0
    assert before_last.text == whole.text
    assert [call.arguments for call in before_last.tool_calls] == [
        call.arguments for call in whole.tool_calls
    ]
    assert whole.proto.settings.metadata == options.get("labels", {})


def test_the_text_of_a_response_is_that_of_the_first_choice(client: Client) -> None:
    with client.responses.stream("Say hello.", n=2) as stream:
        assert "".join(stream.text_stream) == stream.final().text == HELLO
    assert {item.choice_index for item in stream.final().output} == {0, 1}


def test_a_response_that_calls_a_tool(client: Client) -> None:
    question = user("What is the weather in Paris?")
    first = client.responses.create([question], tools=[get_weather])
    [call] = first.tool_calls
    result = tool_result(call, "sunny, 21C")
    last = client.responses.create([question, *first.output, result], tools=[get_weather])
    assert last.text == "It is sunny in Paris, 21 degrees."
    assert last.status == "completed"


def test_a_truncated_response(client: Client) -> None:
    response = client.responses.create("Count to ten.", max_tokens=3)
    assert (response.status, response.incomplete_reason) == ("incomplete", "max_output_tokens")


def test_a_response_stream_that_breaks(client: Client) -> None:
    with client.responses.stream("Say hello. [[simulate: cut after=4]]") as stream:
        with pytest.raises(UnavailableError):
            stream.final()
        assert HELLO.startswith(stream.snapshot.text)
        assert stream.snapshot.text


async def test_stored_responses(client: Client, aclient: AsyncClient) -> None:
    for call in (client.responses.get, client.responses.cancel):
        with pytest.raises((UnimplementedError, NotFoundError)):
            call("resp_1")
    for awaited in (aclient.responses.get, aclient.responses.cancel):
        with pytest.raises((UnimplementedError, NotFoundError)):
            await awaited("resp_1", model="tiny-chat")


async def test_storing_responses(storing_target: str) -> None:
    async with AsyncClient(storing_target) as aclient:
        with Client(storing_target) as client:
            made = client.responses.create("Say hello.", store=True)
            assert client.responses.get(made.id).proto == made.proto
            assert (await aclient.responses.get(made.id, model="tiny-chat")).proto == made.proto
            first, second = (
                client.responses.create("Tell me a story.", background=True) for _ in range(2)
            )
            assert first.status == "queued"
            assert client.responses.get(first.id).status == "in_progress"
            for made, cancelled in (
                (first, client.responses.cancel(first.id)),
                (second, await aclient.responses.cancel(second.id)),
            ):
                assert (cancelled.id, cancelled.status) == (made.id, "cancelled")
                assert client.responses.get(made.id).status == "cancelled"


async def test_a_background_stream_that_breaks_is_resumed(storing_target: str) -> None:
    """Every few events, both streams break off; each event arrives once."""
    question = "Say hello. [[simulate: cut after=6]]"
    async with AsyncClient(storing_target) as aclient:
        with Client(storing_target) as client:
            options: Any = {"background": True, "resume": True}
            with client.responses.stream(question, **options) as stream:
                events = list(stream)
            async with aclient.responses.stream(question, **options) as astream:
                aevents = [event async for event in astream]
            stored = client.responses.stream_stored(stream.final().id, resume=True)
            astored = aclient.responses.stream_stored(
                (await astream.final()).id, resume=True, starting_after=3
            )
            for seen, whole, after in (
                (events, stream.final(), -1),
                (aevents, await astream.final(), -1),
                (list(stored), stored.final(), -1),
                ([event async for event in astored], await astored.final(), 3),
            ):
                numbers = [event.proto.sequence_number for event in seen]
                assert numbers == list(range(after + 1, len(events)))
                assert (whole.text, whole.status) == (HELLO, "completed")


async def test_a_stream_that_cannot_be_resumed_raises_why_it_broke_off(storing_target: str) -> None:
    async with AsyncClient(storing_target) as aclient:
        with Client(storing_target) as client:
            for question in ("Hi [[simulate: cut after=0]]", "Hi [[simulate: malformed-event]]"):
                options: Any = {"background": True, "resume": True}
                errors = [
                    caught_from(client.responses.stream(question, background=True).final),
                    caught_from(client.responses.stream(question, **options).final),
                    await acaught_from(aclient.responses.stream(question, **options).final()),
                ]
                assert len({(type(error), error.reason) for error in errors}) == 1
            with pytest.raises(ValueError, match="background"):
                client.responses.stream("Hi", resume=True)
            with pytest.raises(NotFoundError):
                client.responses.stream_stored("resp_unknown", resume=True).final()


def caught_from(call: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


async def acaught_from(call: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await call
    return caught.value


async def test_rerank_and_score(client: Client, aclient: AsyncClient) -> None:
    ranking = client.rerank("capital of France", DOCUMENTS, return_documents=True)
    assert [one.text for one in ranking] == [DOCUMENTS[one.index] for one in ranking]
    assert [one.score for one in ranking] == sorted((one.score for one in ranking), reverse=True)
    assert ranking[0].proto == ranking.proto.results[0]
    assert ranking.request_id
    awaited = await aclient.rerank("capital of France", DOCUMENTS, top_n=1)
    assert [one.index for one in awaited] == [ranking[0].index]
    scores = client.score("capital of France", DOCUMENTS, truncate_prompt_tokens=5)
    assert len(scores) == 2
    assert list(client.score(["a", "b"], DOCUMENTS)) == list(
        await aclient.score(["a", "b"], DOCUMENTS)
    )
    with pytest.raises(InvalidRequestError):
        client.score(["a", "b", "c"], DOCUMENTS)


async def test_classify_and_pool(client: Client, aclient: AsyncClient) -> None:
    classes = client.classify(["What a day!", "Oh no."])
    assert len(classes) == 2
    assert classes[0].label
    assert sum(classes[0].probs) == pytest.approx(1)
    raw = await aclient.classify("What a day!", use_activation=False)
    assert sum(raw[0].probs) != pytest.approx(1)
    pooled = client.pool(["a", "b"], dtype="float16")
    assert [one.dtype for one in pooled] == ["float16"] * 2
    assert [one.tolist() for one in pooled] == [
        one.tolist() for one in await aclient.pool(["a", "b"], dtype="float16")
    ]


async def test_tokens(client: Client, aclient: AsyncClient) -> None:
    tokens = client.tokenize("Say hello.", return_token_strings=True)
    assert len(tokens) == len(tokens.ids) == len(tokens.strings) > 0
    assert tokens.max_model_len == 512
    assert client.detokenize(tokens.ids) == "Say hello."
    assert await aclient.detokenize((await aclient.tokenize("Say hello.")).ids) == "Say hello."
    chat = client.tokenize(
        [user("Say hello.")], tools=[get_weather], template={"add_generation_prompt": True}
    )
    assert len(chat) > len(client.tokenize([user("Say hello.")])) > len(tokens)


async def test_models(client: Client, aclient: AsyncClient) -> None:
    models = client.models.list()
    assert [model.id for model in models] == ["tiny-chat", "tiny-chat-alias"]
    assert "chat" in models[0].capabilities
    assert models[0].max_model_len == 512
    assert [one.proto for one in await aclient.models.list()] == [one.proto for one in models]
    assert (await aclient.models.get("tiny-chat")).id == client.models.get("tiny-chat").id
    with pytest.raises(NotFoundError) as caught:
        client.models.get("nobody")
    assert caught.value.resource == "nobody"


def sources(speech: bytes, path: Path) -> Iterator[tuple[Any, int | None]]:
    path.write_bytes(speech)
    yield path, len(speech)
    yield str(path), len(speech)
    yield speech, len(speech)
    yield io.BytesIO(speech), None


SECOND = bytes(2 * 16_000)


async def test_live_transcription(client: Client, aclient: AsyncClient) -> None:
    async def speech() -> AsyncIterator[bytes | None]:
        for chunk in (SECOND[:3201], SECOND[3201:], None, SECOND):
            yield chunk

    with client.transcribe.live([SECOND[:3201], SECOND[3201:], None, SECOND]) as stream:
        events = list(stream)
    whole = stream.snapshot
    assert events[0].proto.started == whole.started
    ends = [event.utterance for event in events if event.utterance is not None]
    assert [one.text for one in whole.done] == ends
    assert "".join(event.text for event in events) == whole.text == "".join(ends) != ""
    assert [one.usage.completion_tokens for one in whole.done] == [11, 11]
    for given in (speech(), [SECOND, None, SECOND]):
        assert (await aclient.transcribe.live(given).final()).text == whole.text


async def test_a_call_that_is_refused_while_it_writes(aclient: AsyncClient) -> None:
    for _ in range(10):  # gRPC itself reports the status of about half of them
        for call in (
            aclient.transcribe.live([SECOND[:3200]] * 50, sample_rate_hertz=5).final(),
            aclient.transcribe.stream(SECOND * 40, timestamp_granularities="word").final(),
            aclient.transcribe(SECOND * 40, timestamp_granularities="word"),
        ):
            with pytest.raises(InvalidRequestError):
                await call


class Fault(Exception):
    pass


async def test_a_microphone_that_fails(client: Client, aclient: AsyncClient) -> None:
    def speech() -> Iterator[bytes]:
        yield SECOND
        raise Fault

    with pytest.raises(Fault):
        client.transcribe.live(speech()).final()
    with pytest.raises(Fault):
        await aclient.transcribe.live(speech()).final()


async def test_transcriptions(client: Client, aclient: AsyncClient, tmp_path: Path) -> None:
    speech = silence(10)
    texts = set()
    for audio, total in sources(speech, tmp_path / "speech.wav"):
        reports: list[tuple[int, int | None]] = []
        texts.add(client.transcribe(audio, lambda *now, to=reports: to.append(now)).text)
        assert [sent for sent, _ in reports] == [65536, 131072, 196608, 262144, len(speech)]
        assert {of for _, of in reports} == {total}
    for audio, _ in sources(speech, tmp_path / "speech.wav"):
        texts.add((await aclient.transcribe(audio)).text)
    for audio, _ in sources(speech, tmp_path / "speech.wav"):
        texts.add(client.transcribe.stream(audio).final().text)
    for audio, _ in sources(speech, tmp_path / "speech.wav"):
        stream = aclient.transcribe.stream(audio)
        pieces = [event.text async for event in stream]
        assert "".join(pieces) == (await stream.final()).text
        texts.add("".join(pieces))
    assert len(texts) == 1


def test_segments_and_subtitles(client: Client, speech: bytes) -> None:
    made = client.transcribe(
        speech, detail="segments", subtitles=["srt", "vtt"], language_code="en"
    )
    assert made.duration == pytest.approx(1)
    assert made.segments[0].start == 0
    assert made.segments[0].end > 0
    assert made.segments[0].text.strip() in made.text
    assert "-->" in made.srt
    assert made.vtt.startswith("WEBVTT")
    assert made.language_code == "en"


def test_a_streamed_transcription(client: Client, speech: bytes) -> None:
    final = client.transcribe.stream(speech).final()
    assert final.finish_reason == "stop"
    assert final.usage.total_tokens > 0
    assert final.request_id


class Broken(io.BytesIO):
    """A file that fails while it is being read."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 100_000:
            raise OSError("the disk is gone")
        return super().read(size)


def fail(sent: int, total: int | None) -> None:
    raise KeyError("enough")


def leave(sent: int, total: int | None) -> None:
    raise KeyboardInterrupt


async def test_uploads_that_fail_in_the_client(
    service: Service, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """They must not look like complete uploads to the service."""

    def blocking() -> None:
        with Client(f"127.0.0.1:{service.port}") as client:
            with pytest.raises(OSError, match="the disk is gone"):
                client.transcribe(Broken(silence(10)))
            with pytest.raises(OSError, match="the disk is gone"):
                client.transcribe.stream(Broken(silence(10))).final()
            with pytest.raises(KeyError, match="enough"):
                client.transcribe(silence(10), fail)
            with pytest.raises(KeyboardInterrupt):
                client.transcribe(silence(10), leave)
            with pytest.raises(KeyboardInterrupt):
                client.transcribe.stream(silence(10), leave).final()

    await asyncio.to_thread(blocking)
    async with AsyncClient(f"127.0.0.1:{service.port}") as client:
        with pytest.raises(OSError, match="the disk is gone"):
            await client.transcribe(Broken(silence(10)))
        with pytest.raises(OSError, match="the disk is gone"):
            await client.transcribe.stream(Broken(silence(10))).final()
        with pytest.raises(KeyError, match="enough"):
            await client.transcribe(silence(10), fail)
        with pytest.raises(KeyboardInterrupt):
            await client.transcribe(silence(10), leave)
        with pytest.raises(KeyboardInterrupt):
            await client.transcribe.stream(silence(10), leave).final()


async def test_an_asynchronous_progress_function(client: Client, aclient: AsyncClient) -> None:
    reports = []

    async def report(sent: int, total: int | None) -> None:
        await asyncio.sleep(0)
        reports.append((sent, total))

    speech = silence(3)
    await aclient.transcribe(speech, report)
    await aclient.transcribe.stream(speech, report).final()
    assert reports == [(65536, len(speech)), (len(speech), len(speech))] * 2
    with pytest.raises(TypeError, match="only AsyncClient awaits"):
        client.transcribe(speech, report)  # type: ignore[arg-type]


async def test_missing_files(client: Client, aclient: AsyncClient) -> None:
    with pytest.raises(FileNotFoundError):
        client.transcribe("nowhere.wav")
    with pytest.raises(FileNotFoundError):
        await aclient.transcribe("nowhere.wav")


def test_invalid_audio(client: Client) -> None:
    with pytest.raises(InvalidRequestError):
        client.transcribe(b"what?")
    with pytest.raises(InvalidRequestError):
        client.transcribe(b"")
