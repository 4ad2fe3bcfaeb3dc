"""Callers identified by certificates: their own, or those that a trusted proxy reports."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from grpc import StatusCode as Code
from grpc import aio

from penstock.v1.chat_completion_pb2_grpc import ChatCompletionServiceStub
from penstock_server.app import Service
from penstock_server.configuration import Settings
from penstock_server.options import SettingsError
from penstock_server.simulator import Simulator

from .calls import FREE_PORT, Serve, chat, plain_channel, stream
from .keyed import SECRET, CallersFile, bearer
from .test_tls import Files, trusting

API = "spiffe://example.org/ns/search/sa/api"
BATCH = "spiffe://example.org/ns/search/sa/batch"
PROXY = "spiffe://example.org/ns/edge/sa/envoy"
EDGE = "edge.example.org"
CALLERS = f"""
[[caller]]
name = "api"
keys = ["{SECRET}"]
spiffe_ids = ["{API}"]

[[caller]]
name = "batch"
spiffe_ids = ["{BATCH}"]
dns_names = ["batch.example.org"]

[[caller]]
name = "proxy"
spiffe_ids = ["{PROXY}"]
"""
XFCC = "x-forwarded-client-cert"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def settings(simulator: Simulator, callers_file: CallersFile) -> dict[str, Any]:
    """A service in front of the simulator, for the callers of this module."""
    return {"upstream": (simulator.url,), "callers_file": callers_file(CALLERS)}


async def named(
    channel: aio.Channel, caplog: pytest.LogCaptureFixture, *metadata: tuple[str, str]
) -> str:
    """Makes two calls; returns the name of their caller, or why they were refused."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "penstock.rpc"):
        unary = ChatCompletionServiceStub(channel).CreateChatCompletion(chat(), metadata=metadata)
        result = await stream(channel, chat(), metadata=metadata)
        assert await unary.code() is result.code
    if result.code is not Code.OK:
        assert (result.code, result.reason) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")
        return result.message
    lines = [vars(record)["fields"] for record in caplog.records if record.getMessage() == "rpc"]
    # The line of an earlier call that failed may come late.
    [caller, same] = [line["caller"] for line in lines if line["code"] == "OK"]
    assert caller == same
    return str(caller)


CERTIFICATES: Mapping[str, tuple[dict[str, Any], str]] = {
    "a SPIFFE id": ({"uris": [API]}, "api"),
    "another SPIFFE id": ({"uris": [BATCH]}, "batch"),
    "a DNS name": ({"dns_names": ["batch.example.org"]}, "batch"),
    "a DNS name in capitals": ({"dns_names": ["Batch.Example.org"]}, "batch"),
    "a DNS name among others": ({"dns_names": ["x.org", "batch.example.org"]}, "batch"),
    "both": ({"uris": [BATCH], "dns_names": ["batch.example.org"]}, "batch"),
    "an unknown SPIFFE id with a known DNS name": (
        {"uris": ["spiffe://example.org/x"], "dns_names": ["batch.example.org"]},
        "batch",
    ),
    "no identity": ({}, "there are no credentials"),
    "an unknown SPIFFE id": (
        {"uris": ["spiffe://example.org/x"]},
        "the certificate of spiffe://example.org/x is unknown",
    ),
    "a part of a SPIFFE id": ({"uris": [f"{API}/x"]}, "is unknown"),
    "a wildcard": ({"dns_names": ["*.example.org"]}, "is unknown"),
    "two SPIFFE ids": ({"uris": [API, BATCH]}, "there are no credentials"),
    "a SPIFFE id and another URI": ({"uris": [API, "https://a.b"]}, "there are no credentials"),
    "the trust domain as a DNS name": ({"dns_names": ["example.org"]}, "is unknown"),
    "a SPIFFE id as a DNS name": ({"dns_names": [API]}, "there are no credentials"),
    "a DNS name as a URI": ({"uris": ["batch.example.org"]}, "there are no credentials"),
    "the word for Unix sockets": ({"dns_names": ["unix"]}, "the certificate of unix is unknown"),
    "identities of two callers": (
        {"uris": [API], "dns_names": ["batch.example.org"]},
        "identifies several callers",
    ),
}


@pytest.mark.parametrize(("names", "expected"), CERTIFICATES.values(), ids=CERTIFICATES)
async def test_the_certificate_of_a_caller(
    names: dict[str, Any],
    expected: str,
    serve: Serve,
    files: Files,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = await serve(
        **settings,
        tls_client_ca=files.client_ca(files.authority.root),
        trusted_proxies=("unix", "10.0.0.0/8"),
        **files.settings,
    )
    pair = files.authority.issue(**names)
    async with trusting(service.port, files.authority.root, pair) as channel:
        assert expected in await named(channel, caplog)
        # A caller's own claim counts for nothing.
        assert expected in await named(channel, caplog, (XFCC, f"URI={BATCH}"))
        assert await named(channel, caplog, *bearer(SECRET)) == "api"
        assert "unknown" in await named(channel, caplog, *bearer("sk-wrong"))


BY_PROXY = {
    "one": (f"By={PROXY};Hash=468ed33be74e;URI={API}", "api"),
    "several keys": (
        f'Hash=4;Cert="{quote("-----B")}";Subject="CN=a,O=b";URI={BATCH};DNS=',
        "batch",
    ),
    "by DNS name": ("By=;Hash=4;DNS=x.org;DNS=batch.example.org", "batch"),
    "capitals": (f"uri={API}", "api"),
    "the value in capitals": (f"URI={API.upper()}", "there are no credentials"),
    "quoted": (f'URI="{API}"', "api"),
    "an identity in another value": (f'Subject="URI={API}";URI=', "there are no credentials"),
    "an element in another value": (f'Subject="CN=a,URI={API}",Hash=4', "there are no credentials"),
    "a quote in another value": (f'Subject="a\\",URI={API},b=\\"";DNS=batch.example.org', "batch"),
    "a backslash at the end": (f'Subject="a\\\\";URI={API}', "api"),
    "several elements": (f"Hash=4;URI={API},Hash=5;URI={BATCH}", "batch"),
    "several elements with a space": (f"Hash=4;URI={API}, Hash=5;URI={BATCH}", "batch"),
    "a last element without an identity": (f"URI={API},Hash=5", "there are no credentials"),
    "a trusted proxy behind another": (f"URI={API},URI={BATCH},URI={PROXY}", "batch"),
    "only trusted proxies": (f"DNS={EDGE},URI={PROXY}", "there are no credentials"),
    "two SPIFFE ids": (f"URI={API};URI={BATCH}", "there are no credentials"),
    "two SPIFFE ids and a name": (f"URI={API};URI=x;DNS=batch.example.org", "batch"),
    "two callers": (f"URI={API};DNS=batch.example.org", "identifies several callers"),
    "a SPIFFE id as a DNS name": (f"DNS={API}", "there are no credentials"),
    "a DNS name as a URI": ("URI=batch.example.org", "there are no credentials"),
    "a network as a URI": (f"URI={API},URI=127.0.0.0/8", "there are no credentials"),
    "a network as a DNS name": (f"URI={API},DNS=127.0.0.0/8", "there are no credentials"),
    "nothing": ("", "there are no credentials"),
}
MALFORMED = {
    "no pair": "x",
    "no key": f"={API}",
    "an open quote": f'URI="{API}',
    "a quote inside": f'URI={API}";Hash=4',
    "text after a quote": f'URI="{API}"x',
    "an escaped quote at the end": f'URI="{API}\\"',
    "an empty element at the end": f"URI={API},",
    "an empty element": f"URI={API},,Hash=4",
    "an empty pair": f"URI={API};;Hash=4",
    "a comma alone": ",",
    "thousands of quotes": '"' * 12_000,
    "thousands of spaces": "URI=" + " " * 12_000 + '"',
    "thousands of backslashes": 'URI="' + "\\" * 12_001,
    "thousands of elements": "URI=a," * 2_000,
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [*BY_PROXY.values(), *((value, "is malformed") for value in MALFORMED.values())],
    ids=[*BY_PROXY, *MALFORMED],
)
async def test_the_report_of_a_proxy(
    value: str,
    expected: str,
    serve: Serve,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = await serve(trusted_proxies=("127.0.0.0/8", PROXY, EDGE), **settings)
    async with plain_channel(service) as channel:
        if value:
            assert expected in await named(channel, caplog, (XFCC, value))
        assert await named(channel, caplog, (XFCC, value), *bearer(SECRET)) == "api"
    for others in (("10.0.0.0/8", "::1/128", "unix"), (PROXY,)):
        service = await serve(trusted_proxies=others, **settings)
        async with plain_channel(service) as channel:
            metadata = ((XFCC, value),) if value else ()
            assert "there are no credentials" in await named(channel, caplog, *metadata)
            assert API not in str([vars(record) for record in caplog.records])


async def test_a_report_in_several_metadata(
    serve: Serve,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = await serve(
        **settings,
        trusted_proxies=("127.0.0.1/32",),
    )
    async with plain_channel(service) as channel:
        metadata = ((XFCC, f"URI={API}"), (XFCC, f"URI={BATCH}"))
        assert await named(channel, caplog, *metadata) == "batch"
        assert await named(channel, caplog, *reversed(metadata)) == "api"


@pytest.mark.parametrize(
    ("listen", "trusted"),
    [
        ("[::1]:0", "::/64"),
        ("[::]:0", "127.0.0.1/32"),
        ("unix", "unix"),
    ],
)
async def test_the_address_of_a_proxy(
    listen: str,
    trusted: str,
    serve: Serve,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    listen = f"unix:{tmp_path}/socket" if listen == "unix" else listen
    service = await serve(listen=listen, insecure=True, trusted_proxies=(trusted,), **settings)
    target = service.addresses[0].replace("[::]", "127.0.0.1")
    async with aio.insecure_channel(target) as channel:
        assert await named(channel, caplog, (XFCC, f"URI={API}")) == "api"


@pytest.mark.parametrize(
    ("names", "trusted"), [({"uris": [PROXY]}, PROXY), ({"dns_names": [EDGE]}, EDGE)]
)
async def test_the_certificate_of_a_proxy(
    names: dict[str, Any],
    trusted: str,
    serve: Serve,
    files: Files,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = await serve(
        **settings,
        tls_client_ca=files.client_ca(files.authority.root),
        trusted_proxies=(trusted,),
        **files.settings,
    )
    pair = files.authority.issue(**names)
    async with trusting(service.port, files.authority.root, pair) as channel:
        assert await named(channel, caplog, (XFCC, f"URI={API}")) == "api"
        # A proxy does not lend its own identity to callers without one.
        assert "there are no credentials" in await named(channel, caplog)
    pair = files.authority.issue(uris=[BATCH])
    async with trusting(service.port, files.authority.root, pair) as channel:
        assert await named(channel, caplog, (XFCC, f"URI={API}")) == "batch"


async def test_trusted_proxies_are_replaced(
    serve: Serve,
    settings: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = await serve(
        **settings,
        trusted_proxies=("127.0.0.0/8",),
    )
    async with plain_channel(service) as channel:
        for trusted, expected in ((PROXY, "there are no credentials"), ("127.0.0.1/32", "api")):
            changed = await service.reload(replace(service.settings, trusted_proxies=(trusted,)))
            assert changed.applied == {"options": ["trusted_proxies"]}
            assert expected in await named(channel, caplog, (XFCC, f"URI={API}"))


async def test_certificates_that_the_service_cannot_see(callers_file: CallersFile) -> None:
    settings: dict[str, Any] = {"listen": FREE_PORT, "callers_file": callers_file(CALLERS)}
    with pytest.raises(SettingsError, match="caller 'batch' has no keys, and the service sees no"):
        Service(Settings(**settings))
