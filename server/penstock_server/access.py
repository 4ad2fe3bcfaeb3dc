"""Who may call the service, from the configuration."""

from collections.abc import Callable

from penstock_server import worker
from penstock_server.configuration import Caller, Settings, read_callers
from penstock_server.options import SettingsError
from penstock_server.rpc.calls import Middleware
from penstock_server.rpc.middleware import (
    Authentication,
    FailedLogins,
    Ledger,
    SharedLedger,
    forward_credentials,
)


def callers(settings: Settings) -> tuple[Caller, ...]:
    """Returns the callers that the service accepts; none if it accepts every caller.

    Raises:
        SettingsError: the file of callers cannot be used, or nothing can identify one of them.
    """
    if not settings.callers_file:
        return ()
    read = read_callers(settings.callers_file)
    if not (settings.tls_client_ca or settings.trusted_proxies):
        for caller in read:
            if not caller.keys:
                raise SettingsError(
                    f"{settings.callers_file}: caller {caller.name!r} has no keys, and the service "
                    "sees no certificates without tls_client_ca or trusted_proxies"
                )
    return read


def authentication(settings: Settings, clock: Callable[[], float]) -> Authentication | None:
    """Returns the authentication of callers; None if the service accepts every caller.

    Args:
        settings: the configuration.
        clock: the clock of callers' limits, in seconds.

    Raises:
        SettingsError: see `callers`, or two options exclude each other.
    """
    if not settings.callers_file:
        return None
    if settings.forward_authorization:
        raise SettingsError(
            "forward_authorization excludes callers_file: either this service or the upstream "
            "checks a caller's authorization"
        )
    return Authentication(
        callers(settings),
        settings.trusted_proxies,
        ledger=_ledger(),
        failed_logins=FailedLogins(settings.max_failed_logins),
        clock=clock,
    )


def admin_credentials(
    settings: Settings, authentication: Authentication | None
) -> Middleware | None:
    """Returns the middleware that admits callers to AdminService; None if it admits every caller.

    Raises:
        SettingsError: there is no file of callers.
    """
    if not settings.admin_requires_caller:
        return None
    if not authentication:
        raise SettingsError("admin_requires_caller requires callers_file")
    return authentication.authenticate_admin


def _ledger() -> Ledger:
    if not worker.is_worker():
        return Ledger()
    return SharedLedger(worker.limits_file(), *worker.place())


def credentials(settings: Settings, authentication: Authentication | None) -> Middleware | None:
    """Returns the middleware for the credentials of callers, if they matter."""
    if authentication:
        return authentication.authenticate
    return forward_credentials if settings.forward_authorization else None
