"""Transcribes samples of 16 bits at 16000 Hz from standard input while they come."""

import os
import sys
from collections.abc import Iterator

import grpc

from penstock.v1 import transcription_pb2, transcription_pb2_grpc

CHUNK_BYTES = 3200  # a tenth of a second


def speech() -> Iterator[transcription_pb2.TranscribeLiveRequest]:
    """The configuration, then the samples as they come."""
    config = transcription_pb2.LiveTranscriptionConfig()
    yield transcription_pb2.TranscribeLiveRequest(config=config)
    while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
        yield transcription_pb2.TranscribeLiveRequest(audio_chunk=chunk)


def main() -> None:
    """Prints the text; if the stream ends without an error, it is complete."""
    target = os.environ.get("PENSTOCK_TARGET", "127.0.0.1:50051")
    with grpc.insecure_channel(target) as channel:
        stub = transcription_pb2_grpc.TranscriptionServiceStub(channel)
        for reply in stub.TranscribeLive(speech()):
            if reply.HasField("done"):
                print(f"\n{reply.done.usage.completion_tokens} tokens")
            elif reply.HasField("error"):
                print(reply.error.message, file=sys.stderr)
            else:
                print(reply.delta.text, end="", flush=True)


if __name__ == "__main__":
    main()
