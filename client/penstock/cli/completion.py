"""`penstock completion`: prints scripts with which shells complete the command line.

`shtab` generates them from the parsers. They are static: completion does not start Python.
"""

import argparse

from penstock.cli.command import EXIT_OK, FILE_COMPLETION, Subparsers, guarded

SHELLS = ("bash", "zsh", "fish")
INSTALL = """\
  bash: eval "$(penstock completion bash)" in ~/.bashrc
  zsh:  eval "$(penstock completion zsh)" in ~/.zshrc
  fish: penstock completion fish > ~/.config/fish/completions/penstock.fish
"""
# A shell whose completion is not set up lacks `compdef`.
PREAMBLE = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }"}


def add(commands: Subparsers, whole: argparse.ArgumentParser) -> None:
    """Adds the command.

    Args:
        commands: commands of the command line.
        whole: parser of the whole command line.
    """
    summary = "print a script that completes commands and options"
    parser = commands.add_parser(
        "completion",
        help=summary,
        description=f"{summary.capitalize()}.",
        epilog=INSTALL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=SHELLS)

    def run(arguments: argparse.Namespace) -> int:
        from shtab import FILE, complete

        FILE_COMPLETION.update(FILE)
        _offer_values(whole)
        script = complete(whole, shell=arguments.shell, preamble=PREAMBLE.get(arguments.shell, ""))
        print(script)
        return EXIT_OK

    parser.set_defaults(run=lambda arguments: guarded(run, arguments))


def _offer_values(parser: argparse.ArgumentParser) -> None:
    """Offers the values that the metavar of an option lists, such as `never|always|auto`."""
    for action in parser._actions:  # noqa: SLF001  (argparse has no other list)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                _offer_values(command)
        elif isinstance(action.metavar, str) and "|" in action.metavar:
            # The others stand for a number, an address or a name.
            action.choices = [value for value in action.metavar.split("|") if value.islower()]
