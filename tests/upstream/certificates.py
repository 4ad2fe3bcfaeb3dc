"""Certificates for tests, created by openssl."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

HOST = "vllm.example"
_USAGE = "keyUsage=critical,digitalSignature"


@dataclass(frozen=True)
class Certificates:
    """PEM files of a certificate authority, and of a server and a client that it certified."""

    directory: Path

    def file(self, name: str) -> str:
        return str(self.directory / name)

    @property
    def ca(self) -> str:
        return self.file("ca.pem")

    def server_context(self, *, asks_for_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file("server.pem"), self.file("server.key"))
        if asks_for_client:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make(directory: Path) -> Certificates:
    """Creates all files."""
    made = Certificates(directory)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for name in ("ca", "other"):
        out = ("-keyout", made.file(f"{name}.key"), "-out", made.file(f"{name}.pem"))
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        _openssl("req", "-x509", *key, *out, "-subj", f"/CN={name} of tests", *usage)
    signed = ("-CA", made.ca, "-CAkey", made.file("ca.key"))
    for name, alternative in (("server", f"DNS:{HOST}"), ("client", "DNS:caller.example")):
        out = ("-keyout", made.file(f"{name}.key"), "-out", made.file(f"{name}.pem"))
        names = ("-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}")
        # Without this it would be an authority as well.
        end = ("-addext", "basicConstraints=CA:FALSE", "-addext", _USAGE)
        _openssl("req", "-x509", *key, *out, *names, *end, *signed)
    return made


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)
