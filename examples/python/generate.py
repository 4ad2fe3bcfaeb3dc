"""Generates from token ids, without tokenizing any text twice: python generate.py [HOST:PORT]."""

import os
import sys
from collections.abc import Sequence

import grpc

from penstock.v1 import (
    common_pb2,
    generation_pb2,
    generation_pb2_grpc,
    message_pb2,
    tokenization_pb2,
    tokenization_pb2_grpc,
)

GENERATED = 4
"""Largest number of tokens of an answer."""


def render(channel: grpc.Channel, question: str) -> list[int]:
    """The token ids of a conversation, as a chat would send them to the model."""
    part = message_pb2.ContentPart(text=question)
    message = message_pb2.ChatMessage(role=message_pb2.ROLE_USER, content=[part])
    chat = tokenization_pb2.ChatTokenizeInput(messages=[message])
    stub = tokenization_pb2_grpc.TokenizationServiceStub(channel)
    return list(stub.Tokenize(tokenization_pb2.TokenizeRequest(chat=chat)).token_ids)


def generate(channel: grpc.Channel, prompt: Sequence[int]) -> list[int]:
    """Continues a prompt. If the stream ends without an error, it is complete."""
    request = generation_pb2.GenerateRequest(
        token_ids=prompt,
        output_mode=generation_pb2.GENERATE_OUTPUT_MODE_TEXT,
        sampling=common_pb2.SamplingParams(max_tokens=GENERATED, temperature=0),
        logprobs=common_pb2.LogprobOptions(),
    )
    generated: list[int] = []
    text, logprob = "", 0.0
    for event in generation_pb2_grpc.GenerationServiceStub(channel).StreamGenerate(request):
        for choice in event.choices:
            generated += choice.token_ids
            text += choice.text
            logprob += sum(entry.logprob for entry in choice.logprobs)
    print(f'{len(generated)} tokens: "{text}", likely: {str(logprob > -1).lower()}')
    return generated


def run(channel: grpc.Channel) -> None:
    """Generates twice; the second prompt consists of the ids of the first one and its answer."""
    prompt = render(channel, "Say hello.")
    generate(channel, prompt + generate(channel, prompt))


if __name__ == "__main__":
    known = os.environ.get("PENSTOCK_TARGET", "127.0.0.1:50051")
    with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else known) as opened:
        run(opened)
