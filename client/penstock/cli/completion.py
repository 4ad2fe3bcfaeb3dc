"""`penstock completion`: scripts by which shells complete the command line.

A script is made from the parsers themselves and is static: completing starts no Python.
"""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.cli.command import EXIT_OK, Subparsers, guarded

INSTALL = """\
  bash: eval "$(penstock completion bash)" in ~/.bashrc
  zsh:  eval "$(penstock completion zsh)" in ~/.zshrc
  fish: penstock completion fish > ~/.config/fish/completions/penstock.fish
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command, as shells see it.

    Attributes:
        name: its name.
        summary: what it does, in a line.
        options: its options, each with a line of help.
        words: what its arguments may be, if they are one of a few words; files if there are none.
    """

    name: str
    summary: str
    options: dict[str, str]
    words: tuple[str, ...]


def add(commands: Subparsers) -> None:
    """Adds the command."""
    summary = "print a script that completes commands and options"
    parser = commands.add_parser(
        "completion",
        help=summary,
        description=f"{summary.capitalize()}.",
        epilog=INSTALL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=tuple(SCRIPTS))

    def run(arguments: argparse.Namespace) -> int:
        parsers: dict[str, argparse.ArgumentParser] = commands.choices
        print(SCRIPTS[arguments.shell]([_read(name, one) for name, one in parsers.items()]))
        return EXIT_OK

    parser.set_defaults(run=lambda arguments: guarded(run, arguments))


def _read(name: str, parser: argparse.ArgumentParser) -> Command:
    options: dict[str, str] = {}
    words: tuple[str, ...] = ()
    for action in parser._actions:
        for option in action.option_strings:
            if option.startswith("--"):
                options[option] = " ".join((action.help or "").split())
        if not action.option_strings and action.choices:
            words = tuple(map(str, action.choices))
    return Command(name, (parser.description or "").split(". ")[0].rstrip("."), options, words)


def bash(commands: list[Command]) -> str:
    """Returns the script for bash."""
    cases = "\n".join(
        f"        {one.name}) words='{' '.join(one.words)}' options='{' '.join(one.options)}' ;;"
        for one in commands
    )
    return f"""\
_penstock() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" words='' options=''
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(one.name for one in commands)}' -- "$current"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    case "$current" in
        -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
        *) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    esac
}}
complete -o default -F _penstock penstock"""


def zsh(commands: list[Command]) -> str:
    """Returns the script for zsh."""
    names = "\n".join(f"        {shlex.quote(f'{one.name}:{one.summary}')}" for one in commands)
    cases = "\n".join(_zsh_case(one) for one in commands)
    return f"""\
#compdef penstock
_penstock() {{
    local -a commands
    commands=(
{names}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    case "$words[2]" in
{cases}
    esac
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
compdef _penstock penstock"""


def fish(commands: list[Command]) -> str:
    """Returns the script for fish."""
    return "\n".join(line for one in commands for line in _fish_lines(one))


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}


def _zsh_case(command: Command) -> str:
    options = " ".join(
        shlex.quote(f"{name}[{_without_brackets(text)}]") for name, text in command.options.items()
    )
    words = f"'*:word:({' '.join(command.words)})'" if command.words else "'*:file:_files'"
    return f"        {command.name}) shift words; (( CURRENT-- )); _arguments {options} {words} ;;"


def _fish_lines(command: Command) -> Iterator[str]:
    begin = "complete -c penstock"
    summary = _fish_quoted(command.summary)
    yield f"{begin} -n __fish_use_subcommand -f -a {command.name} -d {summary}"
    chosen = f"-n '__fish_seen_subcommand_from {command.name}'"
    if command.words:
        yield f"{begin} {chosen} -f -a '{' '.join(command.words)}'"
    for name, text in command.options.items():
        yield f"{begin} {chosen} -l {name.removeprefix('--')} -d {_fish_quoted(text)}"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _without_brackets(text: str) -> str:
    return text.replace("[", "(").replace("]", ")").replace(":", r"\:")
