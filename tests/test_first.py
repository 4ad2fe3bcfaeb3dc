from grpc import aio

from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub


async def test_streamed_chat(channel: aio.Channel) -> None:
    stub = ChatCompletionServiceStub(channel)
    events = [event async for event in stub.StreamChatCompletion(chat_request("Say hello."))]
    text = "".join(choice.delta.content for event in events for choice in event.choices)
    assert text == "Hello! How can I help you today?"
    assert events[-1].usage.completion_tokens > 0
