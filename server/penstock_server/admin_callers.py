"""The callers of a supervisor's AdminService, whom the workers cannot identify."""

import asyncio
from time import monotonic

from penstock_server import access
from penstock_server.configuration import Settings
from penstock_server.reload import Changes, in_force


class AdminCallers:
    """The callers of AdminService, whose file a `Reloader` follows.

    Attributes:
        settings: the configuration in force.
        credentials: the middleware that admits callers; None if it admits every caller.
    """

    def __init__(self, settings: Settings) -> None:
        """Reads the file of callers, if the configuration requires one.

        Raises:
            SettingsError: see `access.authentication` and `access.admin_credentials`.
        """
        self.settings = settings
        needed = settings.admin_requires_caller
        self._authentication = access.authentication(settings, monotonic) if needed else None
        self.credentials = access.admin_credentials(settings, self._authentication)

    async def reload(self, settings: Settings) -> Changes:
        """Puts the callers of a configuration into force; the workers apply all other changes.

        Raises:
            SettingsError: see `access.callers`.
        """
        assert self._authentication
        after = in_force(self.settings, settings)
        callers = await asyncio.to_thread(access.callers, after)
        changed = self._authentication.callers != callers
        self._authentication.replace(callers, after.trusted_proxies)
        self.settings = after
        return Changes(callers=changed)

    def record_refusal(self) -> None:
        """Does nothing: the workers count refused configurations."""
