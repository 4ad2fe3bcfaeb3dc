"""A certificate authority for tests, and certificates of all kinds."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""Python 3.13 and later require it of authorities."""


class Authority:
    """Issues certificates for 127.0.0.1.

    Attributes:
        root: its own certificate, in PEM.
    """

    def __init__(self, name: str = "tests") -> None:
        """Creates the authority's own certificate."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._signed(self._name, self._key.public_key(), days=(-1, 9), ca=True)
        self.root = self._certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        *,
        days: tuple[int, int] = (-1, 9),
        password: bytes = b"",
        uris: Sequence[str] = (),
        dns_names: Sequence[str] = (),
    ) -> tuple[bytes, bytes]:
        """Returns a new certificate and its key, in PEM.

        Args:
            days: the first and the last day that it is valid, counted from today.
            password: encrypts the key.
            uris: alternative names besides the address.
            dns_names: further ones.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(one) for one in uris]
        names += [x509.DNSName(one) for one in dns_names]
        certificate = self._signed(name, key.public_key(), names, days=days, ca=False)
        encryption: KeySerializationEncryption = NoEncryption()
        if password:
            encryption = BestAvailableEncryption(password)
        written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        return certificate.public_bytes(Encoding.PEM), written

    def _signed(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        names: Sequence[x509.GeneralName] = (),
        *,
        days: tuple[int, int],
        ca: bool,
    ) -> x509.Certificate:
        today = datetime.now(UTC)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        address = x509.IPAddress(ip_address("127.0.0.1"))
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today + days[0] * DAY)
            .not_valid_after(today + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address, *names]), critical=False)
            .add_extension(issuer, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        if ca:
            made = made.add_extension(_CA_USAGE, critical=True)
        return made.sign(self._key, hashes.SHA256())


def write(path: Path, content: bytes) -> str:
    """Replaces a file at once; returns its path."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.rename(path)
    return str(path)
