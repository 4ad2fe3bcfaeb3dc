"""`penstock demo`: one streamed chat over gRPC from a simulated upstream; then it serves."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from penstock.channel import DEFAULT_ADMIN_TARGET, DEFAULT_TARGET, open_async_channel
from penstock.cli import chat_request
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.signals import stop_signals
from penstock_server.simulator import Simulator, SimulatorSettings

QUESTION = "Say hello."
_METHOD = "penstock.v1.ChatCompletionService/StreamChatCompletion"
_REQUEST = json.dumps({"messages": [{"role": "ROLE_USER", "content": [{"text": QUESTION}]}]})


async def run(
    listen: str, admin_listen: str, metrics_listen: str, say: Callable[[str], None]
) -> None:
    """Runs the demonstration until SIGINT or SIGTERM.

    Args:
        listen: HOST:PORT to serve gRPC on.
        admin_listen: HOST:PORT to serve AdminService on; empty for none.
        metrics_listen: HOST:PORT to serve metrics on; empty for none.
        say: prints a piece of text without changes.

    Raises:
        CannotListen: an address is already in use.
    """
    simulated = SimulatorSettings(
        listen="127.0.0.1:0", kind="all", multimodal=True, inter_token_latency=0.05
    )
    signals = stop_signals()
    async with Simulator(simulated) as upstream:
        settings = Settings(
            upstream=(upstream.url,),
            listen=listen,
            admin_listen=admin_listen,
            metrics_listen=metrics_listen,
            slow_start=0.0,
        )
        async with Service(settings) as service:
            target = service.addresses[0]
            say(f"> {QUESTION}\n")
            await _chat(target, say)
            admin = service.admin.address if admin_listen else ""
            say(_explanation(target, admin, upstream.url))
            await signals.get()
    say("stopped\n")


async def _chat(target: str, say: Callable[[str], None]) -> None:
    async with open_async_channel(target) as channel:
        async for event in ChatCompletionServiceStub(channel).StreamChatCompletion(
            chat_request(QUESTION)
        ):
            for choice in event.choices:
                say(choice.delta.content)
    say("\n")


def _explanation(target: str, admin: str, upstream: str) -> str:
    penstock, buf = _command("penstock"), _command("buf")
    upstreams = f"\n  {penstock} upstreams{_at(admin, DEFAULT_ADMIN_TARGET)}" if admin else ""
    return f"""
That was a chat through gRPC at {target}. The upstream is simulated: no model, fixed answers,
at {upstream}. For a real vLLM, stop this and run
  {penstock} serve --upstream http://localhost:8000

Try it from another shell:
  {penstock} chat{_at(target, DEFAULT_TARGET)} "{QUESTION}"{upstreams}
  grpcurl -plaintext -d '{_REQUEST}' {target} {_METHOD}
  {buf} curl --protocol grpc --http2-prior-knowledge -d '{_REQUEST}' \
http://{target}/{_METHOD}

Serving until Ctrl-C.
"""


def _at(target: str, default: str) -> str:
    """Returns the option with which a command finds the service; empty for the default."""
    return "" if target == default else f" --target {target}"


def _command(name: str) -> str:
    """Returns a command as it can be run in the current folder."""
    neighbor = Path(sys.executable).with_name(name)
    if shutil.which(name) or not neighbor.exists():
        return name
    return os.path.relpath(neighbor)
