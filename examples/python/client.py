"""Calls Penstock with generated stubs: python client.py [HOST:PORT] [AUDIO FILE]."""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from penstock.v1 import (
    chat_completion_pb2,
    chat_completion_pb2_grpc,
    common_pb2,
    embedding_pb2,
    embedding_pb2_grpc,
    message_pb2,
    rerank_pb2,
    rerank_pb2_grpc,
    transcription_pb2,
    transcription_pb2_grpc,
)

CHUNK_BYTES = 64 * 1024

WEATHER = message_pb2.Tool(
    function=message_pb2.FunctionDefinition(
        name="get_weather",
        description="The weather in a city.",
        parameters=common_pb2.JsonDocument(
            json='{"type": "object", "properties": {"city": {"type": "string"}}}'
        ),
    )
)


def user(text: str) -> message_pb2.ChatMessage:
    """A message of the user."""
    part = message_pb2.ContentPart(text=text)
    return message_pb2.ChatMessage(role=message_pb2.ROLE_USER, content=[part])


def run_tools(message: message_pb2.ChatMessage) -> Iterator[message_pb2.ChatMessage]:
    """Answers each tool call of a message. A real one parses the arguments, which may be bad."""
    for call in message.tool_calls:
        print(f"tool: {call.function.name}({call.function.arguments})")
        yield message_pb2.ChatMessage(
            role=message_pb2.ROLE_TOOL,
            tool_call_id=call.id,
            content=[message_pb2.ContentPart(text="sunny, 21C")],
        )


def chat(channel: grpc.Channel) -> None:
    """Asks, runs the tools that the model calls, and asks again until it calls none."""
    stub = chat_completion_pb2_grpc.ChatCompletionServiceStub(channel)
    request = chat_completion_pb2.CreateChatCompletionRequest(
        messages=[user("What is the weather in Paris?")], tools=[WEATHER]
    )
    while True:
        answer = stub.CreateChatCompletion(request, timeout=60)
        message = answer.choices[0].message
        if not message.tool_calls:
            break
        request.messages.extend([message, *run_tools(message)])
    print("chat:", "".join(part.text for part in message.content))


def stream_chat(channel: grpc.Channel) -> None:
    """The same conversation, printed as it arrives."""
    stub = chat_completion_pb2_grpc.ChatCompletionServiceStub(channel)
    request = chat_completion_pb2.CreateChatCompletionRequest(
        messages=[user("What is the weather in Paris?")], tools=[WEATHER]
    )
    while True:
        message, usage = receive(stub.StreamChatCompletion(request, timeout=60))
        if not message.tool_calls:
            break
        request.messages.extend([message, *run_tools(message)])
    print(f"\nusage: {usage.total_tokens} tokens")


def receive(
    events: Iterable[chat_completion_pb2.StreamChatCompletionResponse],
) -> tuple[message_pb2.ChatMessage, common_pb2.Usage]:
    """Puts the deltas of a stream together. If it ends without an error, it is complete."""
    message = message_pb2.ChatMessage(role=message_pb2.ROLE_ASSISTANT)
    calls: dict[int, message_pb2.ToolCall] = {}
    usage = common_pb2.Usage()
    text = ""
    for event in events:
        for choice in event.choices:
            if choice.delta.content:
                print("" if text else "stream: ", choice.delta.content, sep="", end="", flush=True)
            text += choice.delta.content
            for piece in choice.delta.tool_calls:
                call = calls.setdefault(piece.index, message_pb2.ToolCall())
                call.id += piece.id
                call.function.name += piece.name
                call.function.arguments += piece.arguments
        if event.HasField("usage"):
            usage = event.usage
    if text:
        message.content.add(text=text)
    message.tool_calls.extend(calls.values())
    return message, usage


def embed(channel: grpc.Channel) -> None:
    """Compares two texts by their vectors."""
    stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
    texts = ("a cat", "a kitten")
    request = embedding_pb2.CreateEmbeddingsRequest(
        inputs=[message_pb2.PoolingInput(text=text) for text in texts]
    )
    answer = stub.CreateEmbeddings(request, timeout=60)
    one, two = (embedding.float_vector.values for embedding in answer.embeddings)
    similarity = sum(a * b for a, b in zip(one, two, strict=True))
    print(f"embeddings: 2 of {len(one)} values, similarity {similarity:.4f}")


def rerank(channel: grpc.Channel) -> None:
    """Orders texts by how well they fit a query."""
    stub = rerank_pb2_grpc.RerankServiceStub(channel)
    texts = ["Berlin is in Germany.", "Paris is the capital of France."]
    request = rerank_pb2.RerankRequest(
        query=rerank_pb2.ScoringInput(text="capital of France"),
        documents=[rerank_pb2.ScoringInput(text=text) for text in texts],
    )
    for result in stub.Rerank(request, timeout=60).results:
        print(f"rerank: {result.relevance_score:.4f} {texts[result.index]}")


def transcribe(channel: grpc.Channel, audio: Path) -> None:
    """Uploads an audio file and prints what is said in it."""
    stub = transcription_pb2_grpc.TranscriptionServiceStub(channel)
    answer = stub.UploadTranscribe(upload(audio), timeout=60).transcription
    print(f"transcription:{answer.text} ({answer.billed_duration.seconds} s)")


def upload(audio: Path) -> Iterator[transcription_pb2.UploadTranscribeRequest]:
    """The configuration, then the audio file in chunks."""
    config = transcription_pb2.TranscriptionConfig(language_code="en")
    yield transcription_pb2.UploadTranscribeRequest(config=config)
    with audio.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield transcription_pb2.UploadTranscribeRequest(audio_chunk=chunk)


def cancel(channel: grpc.Channel) -> None:
    """Leaves a stream after three messages; the model stops."""
    stub = chat_completion_pb2_grpc.ChatCompletionServiceStub(channel)
    request = chat_completion_pb2.CreateChatCompletionRequest(messages=[user("Tell me a story.")])
    call = stub.StreamChatCompletion(request, timeout=60)
    received = sum(1 for _ in islice(call, 3))
    call.cancel()
    print(f"cancel: {call.code().name} after {received} messages")


def deadline(channel: grpc.Channel) -> None:
    """Gives a long answer too little time."""
    stub = chat_completion_pb2_grpc.ChatCompletionServiceStub(channel)
    request = chat_completion_pb2.CreateChatCompletionRequest(messages=[user("Tell me a story.")])
    try:
        stub.CreateChatCompletion(request, timeout=0.2)
        print("deadline: the answer came in time")
    except grpc.RpcError as error:
        print(f"deadline: {error.code().name}")


def rich_error(channel: grpc.Channel) -> None:
    """Provokes an error and reads its reason and the fields at fault from the details."""
    stub = chat_completion_pb2_grpc.ChatCompletionServiceStub(channel)
    request = chat_completion_pb2.CreateChatCompletionRequest(
        messages=[user("Hi")], sampling=common_pb2.SamplingParams(temperature=-1)
    )
    try:
        stub.CreateChatCompletion(request, timeout=60)
    except grpc.RpcError as error:
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in rpc_status.from_call(error).details:
            detail.Unpack(info)
            detail.Unpack(bad_request)
        print(f"error: {error.code().name} {info.reason} from {info.domain}")
        for violation in bad_request.field_violations:
            print(f"error: {violation.field}: {violation.description}")


def main() -> None:
    """Makes every call once."""
    arguments = sys.argv[1:]
    target = arguments[0] if arguments else os.environ.get("PENSTOCK_TARGET", "127.0.0.1:50051")
    audio = Path(arguments[1] if len(arguments) > 1 else "../tone.wav")
    with grpc.insecure_channel(target) as channel:
        chat(channel)
        stream_chat(channel)
        embed(channel)
        rerank(channel)
        transcribe(channel, audio)
        cancel(channel)
        deadline(channel)
        rich_error(channel)


if __name__ == "__main__":
    main()
