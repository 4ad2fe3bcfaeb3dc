"""TLS on both sides of Envoy: identities of callers, and certificates that are replaced."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import grpc
import pytest
from authority import Authority
from conftest import FREE_PORT
from grpc import StatusCode as Code
from grpc import aio
from rpc.calls import BOUND_S, chat, create

from mesh.calls import answered
from mesh.conftest import StartMesh
from mesh.gateway import ALONE, FILES, Mesh
from mesh.load import OK, Load
from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.simulator import SimulatorSettings

PENSTOCK, ENVOY, CALLER, OTHER = (
    f"spiffe://example.org/{name}" for name in ("penstock", "envoy", "caller", "other")
)
SLOW = SimulatorSettings(listen=FREE_PORT, inter_token_latency=0.01)
CALLERS = f"""
[[caller]]
name = "batch"
spiffe_ids = ["{CALLER}"]
"""
Pair = tuple[bytes, bytes]


@dataclass
class Certificates:
    """The files of Envoy and of the Penstocks.

    Attributes:
        folder: contains a folder for either.
        authority: issues new certificates.
    """

    folder: Path
    authority: Authority = field(default_factory=Authority)

    def __post_init__(self) -> None:
        """Writes the first files."""
        for place in (self.envoy, self.penstock):
            place.mkdir()
        self.trust(self.authority.root)
        self.issue()
        for name in ("certificate", "authority"):
            text = (FILES / f"{name}.yaml").read_text("utf-8")
            (self.folder / f"{name}.yaml").write_text(
                text.replace("/etc/envoy/tls", str(self.envoy)), "utf-8"
            )

    @property
    def envoy(self) -> Path:
        return self.folder / "envoy-tls"

    @property
    def penstock(self) -> Path:
        return self.folder / "penstock-tls"

    def trust(self, *roots: bytes) -> None:
        """Replaces the authorities that both accept."""
        for place in (self.envoy, self.penstock):
            replace(place, {"ca.crt": b"".join(roots)})

    def issue(self, penstock: str = PENSTOCK) -> None:
        """Replaces the certificates of both."""
        for place, name in ((self.envoy, ENVOY), (self.penstock, penstock)):
            certificate, key = self.authority.issue(uris=[name])
            replace(place, {"tls.crt": certificate, "tls.key": key})

    @property
    def changes(self) -> Mapping[str, str]:
        """The changes in Envoy's file."""
        names = ("certificate", "authority")
        files = {f"/etc/envoy/{name}.yaml": f"{self.folder}/{name}.yaml" for name in names}
        return {"#tls ": "", **files}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The options of a Penstock."""
        return {
            "tls_cert": str(self.penstock / "tls.crt"),
            "tls_key": str(self.penstock / "tls.key"),
            "tls_client_ca": str(self.penstock / "ca.crt"),
            "reload_interval": 0.05,
            "trusted_proxies": (ENVOY,),
            # Connections that exist keep their certificates.
            "max_connection_age": 1.0,
        }


def replace(place: Path, files: Mapping[str, bytes]) -> None:
    """Replaces files at once, as Kubernetes does: by a link to a folder that contains all."""
    current, fresh = place / "..data", Path(mkdtemp(prefix="..", dir=place))
    kept = {one.name: one.read_bytes() for one in current.iterdir()} if current.exists() else {}
    for name, content in (kept | dict(files)).items():
        (fresh / name).write_bytes(content)
        if name not in kept:
            (place / name).symlink_to(Path(current.name) / name)
    link = place / "..new"
    link.symlink_to(fresh.name)
    link.rename(current)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@asynccontextmanager
async def calling(mesh: Mesh, root: bytes, pair: Pair | None) -> AsyncIterator[aio.Channel]:
    """Opens a connection of its own to Envoy, perhaps with a certificate."""
    certificate, key = pair or (None, None)
    credentials = grpc.ssl_channel_credentials(root, key, certificate)
    async with aio.secure_channel(mesh.envoy.address, credentials, ALONE) as channel:
        yield channel


async def test_a_certificate_identifies_the_caller(
    start: StartMesh, certificates: Certificates, tmp_path: Path
) -> None:
    callers = tmp_path / "callers.toml"
    callers.write_text(CALLERS, "utf-8")
    mesh = await start(
        changes=certificates.changes, callers_file=str(callers), **certificates.settings
    )
    issue, root = certificates.authority.issue, certificates.authority.root
    async with calling(mesh, root, issue(uris=[CALLER])) as channel:
        await answered(channel)
    async with calling(mesh, root, issue(uris=[OTHER])) as channel:
        for metadata in ((), (("x-forwarded-client-cert", f"URI={CALLER}"),)):
            refused = await create(channel, chat(), metadata=metadata)
            assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")


async def test_a_caller_without_a_certificate_cannot_connect(
    start: StartMesh, certificates: Certificates
) -> None:
    mesh = await start(changes=certificates.changes, **certificates.settings)
    async with calling(mesh, certificates.authority.root, None) as channel:
        assert (await create(channel, chat())).code is Code.UNAVAILABLE
    assert sum(mesh.requests) == 0


async def test_another_server_at_the_address_receives_nothing(
    start: StartMesh, certificates: Certificates
) -> None:
    certificates.issue(penstock=OTHER)
    mesh = await start(changes=certificates.changes, **certificates.settings)
    pair = certificates.authority.issue(uris=[CALLER])
    async with calling(mesh, certificates.authority.root, pair) as channel:
        assert (await create(channel, chat())).code is Code.UNAVAILABLE
    assert sum(mesh.requests) == 0


async def test_certificates_are_replaced_under_load(
    start: StartMesh, certificates: Certificates
) -> None:
    mesh = await start(SLOW, SLOW, changes=certificates.changes, **certificates.settings)
    old = certificates.authority
    pair = old.issue(uris=[CALLER])
    async with calling(mesh, old.root, pair) as channel, Load(channel) as load:
        await load.more(20)
        new = certificates.authority = Authority("new")
        certificates.trust(old.root, new.root)
        await until_accepted(mesh, old.root, new.issue(uris=[CALLER]))
        certificates.issue()
        await until_accepted(mesh, new.root, new.issue(uris=[CALLER]))
        await load.more(20)
        certificates.trust(new.root)
        await until_refused(mesh, new.root, pair)
        await load.more(20)
    assert set(load.ends) == {OK}, load.ends


async def until_accepted(mesh: Mesh, root: bytes, pair: Pair) -> None:
    """Returns once a new connection works."""
    async with calling(mesh, root, pair) as channel:
        await ChatCompletionServiceStub(channel).CreateChatCompletion(
            chat(), wait_for_ready=True, timeout=BOUND_S
        )


async def until_refused(mesh: Mesh, root: bytes, pair: Pair) -> None:
    """Returns once a new connection does not work."""
    code = Code.OK
    while code is Code.OK:
        async with calling(mesh, root, pair) as channel:
            call = ChatCompletionServiceStub(channel).CreateChatCompletion(chat())
            code = await call.code()
    assert code is Code.UNAVAILABLE
