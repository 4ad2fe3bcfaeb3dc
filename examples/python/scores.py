"""Scores many pairs of texts in one call, with the generated stubs."""

import os
import sys
from collections.abc import Iterator

import grpc

from penstock.v1.rerank_pb2 import ScoreRequest, ScoringInput, StreamScoreRequest
from penstock.v1.rerank_pb2_grpc import RerankServiceStub

PAIRS = [
    ("capital of France", "Berlin is in Germany."),
    ("[[simulate: status code=400]]", "This item fails."),
    ("capital of France", "Paris is the capital of France."),
]


def items() -> Iterator[StreamScoreRequest]:
    """Yields an item for each pair; gRPC reads them while results arrive."""
    for query, document in PAIRS:
        request = ScoreRequest(
            queries=[ScoringInput(text=query)], documents=[ScoringInput(text=document)]
        )
        yield StreamScoreRequest(key=document, request=request, in_order=True)


def main() -> None:
    """Prints the score of each pair, in their order."""
    given = sys.argv[1] if len(sys.argv) > 1 else None
    target = given or os.environ.get("PENSTOCK_TARGET", "127.0.0.1:50051")
    with grpc.insecure_channel(target) as channel:
        for result in RerankServiceStub(channel).StreamScore(items()):
            if result.HasField("error"):
                print(f"{result.index}: {result.error.reason}, {result.key}")
            else:
                print(f"{result.index}: {result.response.results[0].score:.6f}, {result.key}")


if __name__ == "__main__":
    main()
