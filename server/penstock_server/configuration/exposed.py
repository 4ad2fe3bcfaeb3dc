"""Files with secrets that every user of the machine can read."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from penstock_server.configuration.settings import Settings
from penstock_server.configuration.upstream_table import File, UpstreamTable


def files(settings: Settings) -> Iterator[File]:
    """Yields the files that the configuration names, except the keys file."""
    if settings.upstream_api_key_file:
        yield settings.upstream_api_key_file
    for entry in settings.upstream:
        if isinstance(entry, UpstreamTable):
            yield from entry.files


def exposed(settings: Settings, path: str) -> Sequence[str]:
    """Returns the paths of files with secrets that every user of the machine can read.

    Args:
        settings: the configuration.
        path: the configuration file; empty for none.
    """
    tables = [entry for entry in settings.upstream if isinstance(entry, UpstreamTable)]
    found = [settings.keys_file]
    if settings.upstream_api_key_file:
        found.append(settings.upstream_api_key_file.path)
    for table in tables:
        named = (table.api_key_file, table.client_key_file)
        found.extend(file.path for file in named if file)
    secrets = [settings.upstream_api_key, *(table.api_key for table in tables)]
    readable = [one for one in dict.fromkeys(found) if one and _is_read_by_all(one)]
    # Others cannot read a pipe, and reading it here would empty it.
    if path and _is_read_by_all(path) and _holds(path, [one for one in secrets if one]):
        readable.append(path)
    return readable


def _holds(path: str, secrets: Sequence[str]) -> bool:
    try:
        content = Path(path).read_text()
    except (OSError, ValueError):
        return False
    return any(secret in content for secret in secrets)


def _is_read_by_all(path: str) -> bool:
    try:
        found = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(found) and bool(found & stat.S_IROTH)
