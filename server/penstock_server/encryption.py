"""Encryption between callers and the service, from the configuration."""

import ssl

from penstock_server.configuration import Settings
from penstock_server.options import SettingsError
from penstock_server.rpc.server import (
    CertificateFiles,
    ServerCertificate,
    UnusableCertificate,
    is_local,
)


def server_certificate(settings: Settings) -> ServerCertificate | None:
    """Returns the certificate that callers see; None to serve plaintext.

    Raises:
        SettingsError: its files cannot be used, options contradict each other, or plaintext would
            leave the machine.
    """
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError("tls_cert and tls_key require each other")
    if settings.tls_client_ca and not settings.tls_cert:
        raise SettingsError("tls_client_ca requires tls_cert and tls_key")
    if not settings.tls_cert:
        _require_local(settings)
        return None
    try:
        return ServerCertificate(
            CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        )
    except UnusableCertificate as error:
        raise SettingsError(f"TLS: {error}", retry=True) from error


def metrics_tls(settings: Settings, certificate: ServerCertificate | None) -> ssl.SSLContext | None:
    """Returns the context of the metrics' port; None to serve plaintext."""
    address = settings.metrics_listen
    return certificate.context() if certificate and address and not is_local(address) else None


def _require_local(settings: Settings) -> None:
    """Checks that plaintext stays on this machine, unless the configuration allows otherwise."""
    if settings.insecure:
        return
    named = [("listen", one) for one in settings.addresses]
    named.append(("admin_listen", settings.admin_listen))
    named.append(("metrics_listen", settings.metrics_listen))
    for option, address in named:
        if address and not is_local(address):
            raise SettingsError(
                f"{option} {address} would serve plaintext to other machines: set tls_cert and "
                "tls_key, or set insecure if a mesh or a proxy encrypts the connections"
            )
