"""`penstock generate`: continues a prompt of token ids."""

import argparse
import sys

from penstock.cli.command import (
    EXIT_OK,
    Subparsers,
    UsageError,
    add_command,
    add_model,
    connect,
    on,
    read_input,
    show,
)


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "print the token ids that continue a prompt of token ids, one per line"
    parser = add_command(commands, "generate", _run, summary)
    parser.add_argument(
        "token_id",
        nargs="*",
        type=int,
        help="token ids; default: the first word of each line of standard input",
    )
    parser.set_defaults(more="token_id")
    add_model(parser)
    parser.add_argument("--max-tokens", type=int, help="maximum number of tokens to generate")
    parser.add_argument("--temperature", type=float, help="0 always chooses the most likely token")
    parser.add_argument("--text", action="store_true", help="print the text instead of token ids")


def _run(arguments: argparse.Namespace) -> int:
    prompt = arguments.token_id or _token_ids(read_input())
    if not prompt:
        raise UsageError("no token ids given, and none on standard input")
    with connect(arguments) as client:
        answer = client.generation.create(
            prompt,
            model=arguments.model,
            max_tokens=arguments.max_tokens,
            temperature=arguments.temperature,
            output_mode="text" if arguments.text else None,
        )
    if arguments.json:
        show(answer.proto, zeros=True)
    elif arguments.text:
        print(on(sys.stdout, answer.text))
    else:
        print(*answer.token_ids, sep="\n")
    return EXIT_OK


def _token_ids(text: str) -> list[int]:
    """Returns the first word of each line, so that the output of `penstock tokenize` is valid."""
    words = [line.split()[0] for line in text.splitlines() if line.strip()]
    for number, word in enumerate(words, 1):
        if not word.lstrip("-").isdecimal():
            raise UsageError(f"{word!r}, in line {number}, is not a valid token id")
    return list(map(int, words))
