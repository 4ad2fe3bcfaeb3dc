"""Files with secrets that every user of the machine can read."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from penstock_server.configuration.settings import Settings
from penstock_server.configuration.upstream_table import File, UpstreamTable
from penstock_server.configuration.upstreams import upstream_configs


def files(settings: Settings) -> Iterator[File]:
    """Yields the files that the configuration names, except that of callers."""
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
    readable = [one for one in dict.fromkeys(_secret_files(settings)) if _is_read_by_all(one)]
    # Others cannot read a pipe, and reading it here would empty it.
    if path and _is_read_by_all(path) and _holds(path, _secrets(settings)):
        readable.append(path)
    return readable


def _secret_files(settings: Settings) -> Iterator[str]:
    """Yields the paths of files that contain only secrets, or private keys."""
    yield from filter(None, (settings.callers_file, settings.tls_key))
    if settings.upstream_api_key_file:
        yield settings.upstream_api_key_file.path
    for table in settings.upstream:
        if isinstance(table, UpstreamTable):
            private_key = table.client_key_file or table.client_certificate_file
            yield from (file.path for file in (table.api_key_file, private_key) if file)


def _secrets(settings: Settings) -> Iterator[str]:
    for config in upstream_configs(settings):
        yield from config.secrets


def _holds(path: str, secrets: Iterable[str]) -> bool:
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
