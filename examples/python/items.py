"""Computes the embeddings of many texts in one call: python items.py [HOST:PORT]."""

import os
import sys
from collections.abc import Iterator

import grpc

from penstock.v1 import embedding_pb2, embedding_pb2_grpc

TEXTS = ["a cat", "a kitten", "[[simulate: status code=400]]", "a dog"]


def items() -> Iterator[embedding_pb2.StreamEmbeddingsRequest]:
    """An item for each text. The service reads them as it answers others."""
    for text in TEXTS:
        item = embedding_pb2.StreamEmbeddingsRequest(key=text, in_order=True)
        item.request.inputs.add(text=text)
        yield item


def run(channel: grpc.Channel) -> None:
    """Prints the results, which arrive in the order of the texts."""
    for result in embedding_pb2_grpc.EmbeddingServiceStub(channel).StreamEmbeddings(items()):
        if result.HasField("error"):
            print(f"{result.index}: {result.error.reason}")
        else:
            vector = result.response.embeddings[0].float_vector
            print(f"{result.index}: {result.key}, {len(vector.values)} values")


if __name__ == "__main__":
    known = os.environ.get("PENSTOCK_TARGET", "127.0.0.1:50051")
    with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else known) as opened:
        run(opened)
