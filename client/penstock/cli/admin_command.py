"""Commands that call the admin address of a service."""

import argparse
from collections.abc import Callable

from penstock.channel import DEFAULT_ADMIN_TARGET
from penstock.cli.command import Subparsers, UsageError, add_command


def add_admin_command(
    commands: Subparsers, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    """Adds a command whose target is an admin address; see `add_command`."""
    return add_command(commands, name, run, summary, "PENSTOCK_ADMIN_TARGET", DEFAULT_ADMIN_TARGET)


def not_an_admin_address(target: str) -> UsageError:
    """Returns the error for a target that does not serve AdminService."""
    return UsageError(
        f"{target} is not the admin address of a service, which penstock serve "
        f"--admin-listen sets (default {DEFAULT_ADMIN_TARGET})"
    )
