"""Answers many questions in one call: python batch.py [HOST:PORT]."""

import os
import sys
from collections.abc import Iterator

import grpc

from penstock.v1 import batch_pb2, batch_pb2_grpc, message_pb2

QUESTIONS = {"greeting": "Say hello.", "sum": "What is 2+2?", "wrong": ""}


def items() -> Iterator[batch_pb2.RunBatchRequest]:
    """An item for each question. The service reads them as it answers others."""
    for key, question in QUESTIONS.items():
        item = batch_pb2.RunBatchRequest(key=key)
        item.chat_completion.SetInParent()
        if question:
            part = message_pb2.ContentPart(text=question)
            message = message_pb2.ChatMessage(role=message_pb2.ROLE_USER, content=[part])
            item.chat_completion.messages.append(message)
        yield item


def run(channel: grpc.Channel) -> None:
    """Prints the results, which arrive in any order. An item that fails does not end the call."""
    left = set(QUESTIONS)
    for result in batch_pb2_grpc.BatchServiceStub(channel).RunBatch(items()):
        left.remove(result.key)
        if result.HasField("error"):
            print(f"{result.key}: {result.error.reason}")
        else:
            answer = result.chat_completion.choices[0].message
            print(f"{result.key}: {answer.content[0].text}")
    print(f"{len(left)} without a result")


if __name__ == "__main__":
    known = os.environ.get("PENSTOCK_TARGET", "127.0.0.1:50051")
    with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else known) as opened:
        run(opened)
