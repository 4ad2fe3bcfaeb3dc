"""The command line: serve, simulate, demo, and the client's commands.

Exit codes: 0 success; 1 the call failed, or the service is not serving; 2 incorrect usage; 3 an
option or a file cannot be used; 4 the service cannot listen on an address; 5 a package is missing;
130 interrupted.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import Any, NoReturn

# gRPC's core would log taken ports and lost connections itself; the service reports them.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from penstock import cli as client
from penstock.channel import DEFAULT_ADMIN_TARGET, DEFAULT_TARGET
from penstock.version import __version__
from penstock_server.option_list import OptionList
from penstock_server.options import SettingsError, Unrequested, address, is_read_once, unless_off
from penstock_server.telemetry.metrics.names import DEFAULT_METRICS_ADDRESS

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

EXIT_USAGE = 2
EXIT_SETTINGS = 3
EXIT_ADDRESS = 4
EXIT_NOT_INSTALLED = 5
EXIT_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser whose error messages are a single line."""

    def error(self, message: str) -> NoReturn:
        """Prints the error message and exits."""
        self.exit(EXIT_USAGE, f"penstock: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        if sys.stderr and sys.stderr.isatty():
            # The terminal shows ^C; the shell's prompt belongs on a line of its own.
            print(file=sys.stderr)
        return EXIT_INTERRUPTED


def _main(given: Sequence[str]) -> int:
    parser = command_line()
    if not given:
        parser.print_help()
        return EXIT_USAGE
    parsed, unknown = parser.parse_known_args(given, argparse.Namespace(arguments=given))
    if parsed.more and not any(one.startswith("-") for one in unknown):
        # Python 3.11 does not add to a list of arguments after an option has interrupted it.
        setattr(parsed, parsed.more, [*getattr(parsed, parsed.more), *unknown])
        unknown = []
    if unknown and not parsed.not_installed:
        parsed.parser.error(client.unrecognized(parsed.parser, unknown))
    try:
        code: int = parsed.run(parsed)
    except BrokenPipeError:
        # The reader of the output has closed it, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return client.EXIT_FAILED
    except ModuleNotFoundError as error:
        return _not_installed(error)
    return code


def command_line() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = Parser(prog="penstock", description="gRPC in front of vLLM.", allow_abbrev=False)
    parser.set_defaults(not_installed=False, more="")
    parser.add_argument("--version", action="version", version=f"penstock {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_simulate(commands)
    _add_demo(commands)
    client.add_commands(parser, commands)
    for command in commands.choices.values():
        command.set_defaults(parser=command)
    return parser


def _add_serve(commands: Any) -> None:
    _add_with_options(
        commands,
        "serve",
        "serve gRPC in front of one or more vLLMs",
        "penstock_server.configuration:Settings",
        "PENSTOCK_",
        _serve,
    )


def _add_simulate(commands: Any) -> None:
    parser = _add_with_options(
        commands,
        "simulate",
        "serve vLLM's HTTP API without a model",
        "penstock_server.simulator.vllm_settings:SimulatorSettings",
        "PENSTOCK_SIMULATE_",
        _simulate,
    )
    parser.add_argument("--list-faults", action="store_true", help="list the valid --faults")


def _add_demo(commands: Any) -> None:
    summary = "stream a chat from a simulated upstream, then continue to serve"
    demo = commands.add_parser("demo", help=summary, description=summary, allow_abbrev=False)
    demo.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=DEFAULT_TARGET,
        type=address,
        help=f"address to serve gRPC on (default {DEFAULT_TARGET})",
    )
    demo.add_argument(
        "--admin-listen",
        metavar="HOST:PORT",
        default=Unrequested(DEFAULT_ADMIN_TARGET),
        type=unless_off(address),
        help=f"address to serve AdminService on; off for none (default {DEFAULT_ADMIN_TARGET})",
    )
    demo.add_argument(
        "--metrics-listen",
        metavar="HOST:PORT",
        default=Unrequested(DEFAULT_METRICS_ADDRESS),
        type=unless_off(address),
        help=f"address to serve metrics on; off for none (default {DEFAULT_METRICS_ADDRESS})",
    )
    demo.set_defaults(run=_demo)


def _add_with_options(
    commands: Any,
    name: str,
    summary: str,
    settings: str,
    prefix: str,
    run: Callable[[argparse.Namespace, OptionList[Any]], int],
) -> argparse.ArgumentParser:
    """Adds a command whose options are a settings class, given as "module:class"."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. A flag overrides the environment "
        "variable, which overrides the key in the configuration file.",
        usage="%(prog)s [OPTION ...]",
        allow_abbrev=False,
    )
    module, _, cls = settings.partition(":")
    try:
        options: OptionList[Any] = OptionList(getattr(import_module(module), cls), prefix)
        options.add_to(parser)
    except ModuleNotFoundError as error:
        missing = error
        # The options of the command are unknown too.
        parser.set_defaults(run=lambda parsed: _not_installed(missing), not_installed=True)
        return parser
    parser.set_defaults(run=lambda parsed: _with_settings(options, parsed, run))
    return parser


def _with_settings(
    options: OptionList[Any],
    parsed: argparse.Namespace,
    run: Callable[[argparse.Namespace, OptionList[Any]], int],
) -> int:
    try:
        return run(parsed, options)
    except SettingsError as error:
        return _fail(str(error), EXIT_SETTINGS)


def _serve(parsed: argparse.Namespace, options: OptionList[Any]) -> int:
    from penstock_server import process, supervisor, worker
    from penstock_server.telemetry import log

    started = options.load(parsed)

    def load() -> Any:
        return worker.as_worker(options.load(parsed), started)

    settings = worker.as_worker(started, started)
    log.configure(settings.log_level, settings.log_format)
    if settings.workers > 1 and not worker.is_worker():
        if (path := options.config_file(parsed)) and is_read_once(path):
            raise SettingsError(f"workers cannot read {path}: it can be read only once")
        supervising = supervisor.supervise(settings, parsed.arguments, load, path)
        return _serve_until_stopped(supervising)
    serving = process.serve(settings, load, options.config_file(parsed))
    return _serve_until_stopped(serving, _loop_factory())


def _simulate(parsed: argparse.Namespace, options: OptionList[Any]) -> int:
    from penstock_server import simulator

    settings = options.load(parsed)
    if parsed.list_faults:
        for fault in simulator.FAULTS.values():
            harm = "harmless" if fault.harmless else ""
            print(fault.usage, harm, " ".join(fault.description.split()), sep="\t")
        return 0
    return _until_stopped(_simulate_until_stopped(settings))


async def _simulate_until_stopped(settings: Any) -> None:
    from penstock_server.signals import stop_signals
    from penstock_server.simulator import Simulator

    signals = stop_signals()
    async with Simulator(settings) as running:
        print(f"Simulating vLLM at {running.url} until Ctrl-C.", flush=True)
        await signals.get()


def _demo(parsed: argparse.Namespace) -> int:
    from penstock_server import demo
    from penstock_server.telemetry import log

    log.configure("warning", "text")

    def say(text: str) -> None:
        print(text, end="", flush=True)

    return _serve_until_stopped(
        demo.run(parsed.listen, parsed.admin_listen, parsed.metrics_listen, say)
    )


def _until_stopped(
    running: Coroutine[Any, Any, None], loop_factory: LoopFactory | None = None
) -> int:
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(running)
    except OSError as error:
        return _fail(str(error), EXIT_ADDRESS)
    return 0


def _serve_until_stopped(
    running: Coroutine[Any, Any, None], loop_factory: LoopFactory | None = None
) -> int:
    from penstock_server.process import WatchEnded
    from penstock_server.rpc.server import CannotListen
    from penstock_server.supervisor import WorkerFailed

    try:
        return _until_stopped(running, loop_factory)
    except CannotListen as error:
        return _fail(str(error), EXIT_ADDRESS)
    except WorkerFailed as failed:
        return failed.code
    except WatchEnded:
        return client.EXIT_FAILED


def _loop_factory() -> LoopFactory | None:
    """Returns the factory of a faster event loop than Python's own; None if it is not installed."""
    try:
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return None
    return new_event_loop


def _not_installed(error: ModuleNotFoundError) -> int:
    extra = "cli" if error.name == "shtab" else "server"
    what = f'this command needs the extra "{extra}" ({error.name} is not installed)'
    return _fail(f'{what}; run: pip install "penstock[{extra}]"', EXIT_NOT_INSTALLED)


def _fail(message: str, code: int) -> int:
    print(f"penstock: {message}", file=sys.stderr)
    return code
