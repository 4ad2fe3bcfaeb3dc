"""The commands of people who call the service: chat, models, health."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import wrappers_pb2
from google.rpc import error_details_pb2, status_pb2

from penstock.channel import DEFAULT_TARGET, open_channel
from penstock.v1 import (
    chat_completion_pb2,
    chat_completion_pb2_grpc,
    message_pb2,
    model_pb2,
    model_pb2_grpc,
)

EXIT_OK = 0
EXIT_FAILED = 1
"""The call failed, or the service is not serving."""

Subparsers = Any

_SERVING = 1


def add_commands(commands: Subparsers) -> None:
    """Adds the client's commands to a command line."""
    chat = _add(commands, "chat", _chat, "send one message and stream the answer")
    chat.add_argument("message", help="what to say")
    chat.add_argument("--model", default="", help="the model; default: the only one there is")
    chat.add_argument("--system", default="", help="instructions that come first")
    chat.add_argument("--max-tokens", type=int, help="longest answer; default: the model's")
    chat.add_argument("--temperature", type=float, help="default: the model's")
    _add(commands, "models", _models, "list the models")
    health = _add(commands, "health", _health, "exit 0 if the service is serving, 1 if not")
    health.add_argument("--service", default="", help="one service; default: the whole server")


def chat_request(
    message: str,
    *,
    model: str = "",
    system: str = "",
    max_tokens: int | None = None,
    temperature: float | None = None,
) -> chat_completion_pb2.CreateChatCompletionRequest:
    """Returns the request for one message of a user."""
    request = chat_completion_pb2.CreateChatCompletionRequest(model=model)
    if system:
        request.messages.add(role=message_pb2.ROLE_SYSTEM).content.add(text=system)
    request.messages.add(role=message_pb2.ROLE_USER).content.add(text=message)
    if max_tokens is not None:
        request.sampling.max_tokens = max_tokens
    if temperature is not None:
        request.sampling.temperature = temperature
    return request


def describe(error: grpc.RpcError) -> str:
    """Returns one line about a failed call: code, reason, message, and the fields at fault."""
    call: Any = error
    reason, fields = _details(call)
    head = f"{call.code().name} {reason}".rstrip()
    at = f" (at {', '.join(fields)})" if fields else ""
    return f"{head}: {call.details()}{at}"


def _add(
    commands: Subparsers, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.add_argument(
        "--target",
        default=DEFAULT_TARGET,
        metavar="HOST:PORT",
        help=f"the service (default {DEFAULT_TARGET})",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=None,
        metavar="SECONDS",
        help="deadline of the call (default: none; health: 5)",
    )
    parser.set_defaults(run=lambda arguments: _guarded(run, arguments))
    return parser


def _guarded(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return run(arguments)
    except grpc.RpcError as error:
        print(f"penstock: {describe(error)}", file=sys.stderr)
        return EXIT_FAILED


def _chat(arguments: argparse.Namespace) -> int:
    request = chat_request(
        arguments.message,
        model=arguments.model,
        system=arguments.system,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
    )
    with open_channel(arguments.target) as channel:
        stub = chat_completion_pb2_grpc.ChatCompletionServiceStub(channel)
        for event in stub.StreamChatCompletion(request, timeout=arguments.timeout):
            for choice in event.choices:
                print(choice.delta.content, end="", flush=True)
    print()
    return EXIT_OK


def _models(arguments: argparse.Namespace) -> int:
    with open_channel(arguments.target) as channel:
        stub = model_pb2_grpc.ModelServiceStub(channel)
        listing = stub.ListModels(model_pb2.ListModelsRequest(), timeout=arguments.timeout)
    for model in listing.models:
        served = [model_pb2.Capability.Name(number) for number in model.capabilities]
        words = ",".join(name.removeprefix("CAPABILITY_").lower() for name in served)
        print(model.id, words or "-", sep="\t")
    for upstream in listing.unreachable:
        print(f"penstock: {upstream} could not be asked", file=sys.stderr)
    return EXIT_OK


def _health(arguments: argparse.Namespace) -> int:
    with open_channel(arguments.target) as channel:
        # The health protocol's own stubs are a dependency of the server only. On the wire, its
        # request is a StringValue and its response an Int32Value.
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=wrappers_pb2.StringValue.SerializeToString,
            response_deserializer=wrappers_pb2.Int32Value.FromString,
        )
        request = wrappers_pb2.StringValue(value=arguments.service)
        serving = check(request, timeout=arguments.timeout or 5.0).value == _SERVING
    print("SERVING" if serving else "NOT_SERVING")
    return EXIT_OK if serving else EXIT_FAILED


def _details(call: Any) -> tuple[str, list[str]]:
    trailers = dict(call.trailing_metadata() or ())
    rich = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in rich.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return info.reason, [violation.field for violation in bad.field_violations]
