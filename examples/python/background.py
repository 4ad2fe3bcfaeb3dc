"""Answers in the background, and continues the stream when it breaks: background.py [HOST:PORT]."""

import os
import sys
from collections.abc import Iterator

import grpc

from penstock.v1 import response_pb2, response_pb2_grpc

MOST_BREAKS = 5


def events(channel: grpc.Channel) -> Iterator[response_pb2.StreamResponseResponse]:
    """Each event of the answer once, whatever happens to the connection."""
    stub = response_pb2_grpc.ResponseServiceStub(channel)
    asked = response_pb2.CreateResponseRequest(input_text="Say hello.", background=True)
    stream = stub.StreamResponse(asked)
    wanted = response_pb2.StreamStoredResponseRequest()
    breaks = 0
    while True:
        try:
            for event in stream:
                if event.HasField("created"):
                    wanted.response_id = event.created.id
                wanted.starting_after = event.sequence_number
                yield event
            return
        except grpc.RpcError as error:
            breaks += 1
            broke = error.code() is grpc.StatusCode.UNAVAILABLE
            if not (broke and wanted.response_id and breaks <= MOST_BREAKS):
                raise
            print("continues", file=sys.stderr)
            stream = stub.StreamStoredResponse(wanted)


def run(channel: grpc.Channel) -> None:
    """Prints the text as it arrives."""
    for event in events(channel):
        print(event.output_text_delta.text, end="", flush=True)
    print()


if __name__ == "__main__":
    known = os.environ.get("PENSTOCK_TARGET", "127.0.0.1:50051")
    with grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else known) as opened:
        run(opened)
