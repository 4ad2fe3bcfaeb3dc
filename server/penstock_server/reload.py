"""Reading the configuration again while the service runs.

SIGHUP or a changed file starts a reload. Files are polled: there are a handful, and unlike
notifications from the kernel, polling also detects changes on network file systems and replaced
symbolic links, which Kubernetes uses.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from penstock_server.configuration import Settings, exposed, files, upstream_configs
from penstock_server.file_stamp import FileStamp, stamp
from penstock_server.options import SettingsError, options
from penstock_server.telemetry import events
from penstock_server.upstream import UpstreamConfig


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences between two configurations, without secrets.

    Attributes:
        added: the names of new upstreams.
        removed: the names of removed upstreams.
        changed: the names of changed upstreams.
        options: the names of other options that were applied.
        restart: the names of options that only take effect at the next start.
        callers: whether the file of callers changed.
    """

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Sequence[str] = ()
    options: Sequence[str] = ()
    restart: Sequence[str] = ()
    callers: bool = False

    @property
    def applied(self) -> Mapping[str, Any]:
        """The changes that were applied, as fields for the log."""
        fields = {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": list(self.changed),
            "options": list(self.options),
            "callers": self.callers,
        }
        return {name: value for name, value in fields.items() if value}


def changes(before: Settings, after: Settings, *, callers: bool = False) -> Changes:
    """Compares two configurations."""
    old, new = _by_name(before), _by_name(in_force(before, after))
    known = options(Settings)
    differing = [
        name
        for name in known
        if name != "upstream" and getattr(before, name) != getattr(after, name)
    ]
    return Changes(
        added=[name for name in new if name not in old],
        removed=[name for name in old if name not in new],
        changed=[name for name in new if name in old and new[name] != old[name]],
        options=[name for name in differing if known[name].live],
        restart=[name for name in differing if not known[name].live],
        callers=callers,
    )


def in_force(before: Settings, after: Settings) -> Settings:
    """Returns a new configuration, with the old values of options that only change at a start."""
    fixed = (name for name, known in options(Settings).items() if not known.live)
    return replace(after, **{name: getattr(before, name) for name in fixed})


def require_upstreams(before: Settings, after: Settings) -> None:
    """Checks that a new configuration names an upstream if the one in force does.

    Raises:
        SettingsError: it does not; an emptied file would send all calls to the default upstream.
    """
    if before.names_upstreams and not after.names_upstreams:
        raise SettingsError("upstream: the configuration names none; the upstreams in force stay")


def _by_name(settings: Settings) -> dict[str, UpstreamConfig]:
    return {config.name: config for config in upstream_configs(settings)}


class Reloadable(Protocol):
    """A service whose configuration can be replaced."""

    @property
    def settings(self) -> Settings:
        """The configuration in force."""

    async def reload(self, settings: Settings) -> Changes:
        """Puts a configuration into force, or raises `SettingsError` and keeps the old one."""

    def record_refusal(self) -> None:
        """Records that a configuration was refused."""


class Reloader:
    """Reloads a service after a request, or after a file changed."""

    def __init__(
        self, service: Reloadable, load: Callable[[], Settings], path: str, asked: asyncio.Event
    ) -> None:
        """Prepares to reload.

        Args:
            service: the service to reload.
            load: reads the configuration from all its sources; raises SettingsError.
            path: the configuration file; empty for none.
            asked: set to request a reload.
        """
        self._service = service
        self._load = load
        self._path = path
        self._asked = asked
        # Files that were logged at the start, or later, because every user can read them.
        self._exposed = set(exposed(service.settings, path))
        # The reason logged last for refusing the configuration; empty while it is accepted.
        self._refused = ""
        self._retry = False

    async def run(self) -> None:
        """Reloads at each request or change, forever."""
        seen: Mapping[str, FileStamp] = {}
        loaded: Mapping[str, FileStamp] = {}
        while True:
            asked = await self._wait(self._service.settings.reload_interval)
            before, seen = seen, await asyncio.to_thread(self._look)
            # A file that is still being written waits until it stays the same. A refused
            # configuration is read again only if files not polled here may be the reason.
            if asked or (seen == before and (seen != loaded or self._retry)):
                loaded = seen
                await self._reload(asked=asked)

    async def _wait(self, interval_s: float) -> bool:
        """Waits for a request or the end of the interval; returns whether there was a request."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s or None):
                await self._asked.wait()
        asked = self._asked.is_set()
        self._asked.clear()
        return asked

    async def _reload(self, *, asked: bool) -> None:
        self._retry = False
        try:
            done = await self._service.reload(await asyncio.to_thread(self._load))
        except SettingsError as error:
            self._retry = error.retry
            self._refuse(str(error), again=asked)
            return
        except Exception as error:
            # A bug, which another configuration may avoid.
            events.RELOAD_FAILED.log(error)
            self._refused, self._retry = str(error), True
            return
        self._refused = ""
        if done.restart:
            events.NEEDS_RESTART.log(options=list(done.restart))
        if done.applied or asked:
            events.RELOADED.log(**done.applied)
        found = await asyncio.to_thread(exposed, self._service.settings, self._path)
        for file in found:
            if file not in self._exposed:
                events.EXPOSED.log(file=file)
        self._exposed = set(found)

    def _refuse(self, reason: str, *, again: bool) -> None:
        if again or reason != self._refused:
            events.RELOAD_REFUSED.log(reason=reason)
            self._service.record_refusal()
        self._refused = reason

    def _look(self) -> Mapping[str, FileStamp]:
        return {path: stamp(path) for path in self._paths()}

    def _paths(self) -> Iterable[str]:
        settings = self._service.settings
        yield from filter(None, (self._path, settings.callers_file))
        yield from (file.path for file in files(settings))
