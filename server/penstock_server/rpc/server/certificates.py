"""The certificate that callers see, read again whenever its files change."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import grpc

from penstock_server.file_stamp import FileStamp, stamp
from penstock_server.telemetry import events

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate


class UnusableCertificate(Exception):
    """The files of a certificate cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The files of a server's certificate, in PEM.

    Attributes:
        certificate: the certificate, followed by its chain up to the CA.
        key: its private key, not encrypted.
        client_ca: the CA whose certificates callers must present; empty if they need none.
    """

    certificate: str
    key: str
    client_ca: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all files."""
        return tuple(filter(None, (self.certificate, self.key, self.client_ca)))


class ServerCertificate:
    """The certificate of a server; new connections use the current contents of its files.

    Files that cannot be used change nothing: the certificate in use stays.

    Attributes:
        expires: when the certificate in use expires.
        problem: why the files cannot be used as they are now; empty while they are in use.
    """

    def __init__(
        self, files: CertificateFiles, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Reads the files.

        Args:
            files: the files.
            now: returns the time that certificates must be valid at.

        Raises:
            UnusableCertificate: they cannot be used.
        """
        self._files = files
        self._now = now
        self._lock = Lock()
        self._stamps = self._look()
        self.problem = ""
        self._configuration, self.expires = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns credentials for one port; each port needs its own."""
        used = self._configuration

        # gRPC calls this at every handshake, in a thread of its own.
        def changed() -> Any:
            nonlocal used
            latest = self.latest()
            if latest is used:
                return None  # nothing has changed
            used = latest
            return latest

        return grpc.dynamic_ssl_server_credentials(used, changed, bool(self._files.client_ca))

    def context(self) -> ssl.SSLContext:
        """Returns a context for a server other than gRPC's."""
        used, current = self._configuration, _context(self._files)

        # Python calls this at every handshake.
        def use_latest(handshake: Any, name: str | None, context: ssl.SSLContext) -> None:
            nonlocal used, current
            latest = self.latest()
            if latest is not used:
                used, current = latest, _context(self._files)
            handshake.context = current

        current.sni_callback = use_latest
        return current

    def latest(self) -> grpc.ServerCertificateConfiguration:
        """Returns the configuration of new connections; reads files that have changed."""
        with self._lock:
            stamps = self._look()
            if stamps != self._stamps:
                self._stamps = stamps
                try:
                    self._configuration, self.expires = self._read()
                    self.problem = ""
                except UnusableCertificate as error:
                    self.problem = str(error)
            return self._configuration

    async def watch(self, interval_s: float) -> None:
        """Reads changed files and logs the outcome, forever."""
        used, seen, logged = self._configuration, "", ""
        while True:
            await asyncio.sleep(interval_s)
            latest = await asyncio.to_thread(self.latest)
            if latest is not used:
                used = latest
                events.CERTIFICATE_REPLACED.log(
                    file=self._files.certificate, expires=self.expires.isoformat()
                )
            # Between the moments when the certificate and the key are written, they do not match.
            if self.problem == seen != logged:
                logged = seen
                if seen:
                    events.CERTIFICATE_REFUSED.log(reason=seen)
            seen = self.problem

    def _look(self) -> tuple[FileStamp, ...]:
        return tuple(map(stamp, self._files.paths))

    def _read(self) -> tuple[grpc.ServerCertificateConfiguration, datetime]:
        files = self._files
        chain, key = _content(files.certificate), _content(files.key)
        roots = _content(files.client_ca) if files.client_ca else None
        certificate = _certificates(files.certificate, chain)[0]
        if roots is not None:
            _certificates(files.client_ca, roots)
        if _private_key(files.key, key).public_key() != certificate.public_key():
            raise UnusableCertificate(f"{files.key} is not the key of {files.certificate}")
        self._require_valid(certificate)
        made = grpc.ssl_server_certificate_configuration([(key, chain)], roots)
        return made, certificate.not_valid_after_utc

    def _require_valid(self, certificate: "Certificate") -> None:
        now, name = self._now(), self._files.certificate
        if certificate.not_valid_after_utc <= now:
            expired = certificate.not_valid_after_utc.isoformat()
            raise UnusableCertificate(f"{name} expired at {expired}")
        if certificate.not_valid_before_utc > now:
            begins = certificate.not_valid_before_utc.isoformat()
            raise UnusableCertificate(f"{name} is not valid before {begins}")


def _context(files: CertificateFiles) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(files.certificate, files.key)
    if files.client_ca:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(files.client_ca)
    return made


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnusableCertificate(f"cannot read {path}: {reason}") from error


def _certificates(path: str, content: bytes) -> "list[Certificate]":
    # Imported only if TLS is in use.
    from cryptography import x509

    with contextlib.suppress(ValueError):
        if found := x509.load_pem_x509_certificates(content):
            return found
    raise UnusableCertificate(f"{path} does not contain a certificate in PEM")


def _private_key(path: str, content: bytes) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(content, password=None)
    except TypeError as error:
        raise UnusableCertificate(f"{path} is encrypted; the key must not be") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableCertificate(f"{path} does not contain a private key in PEM") from error
