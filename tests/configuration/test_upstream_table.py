"""`[[upstream]]` tables: every key, the defaults, and every mistake with its line."""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from penstock_server.configuration import Settings, UpstreamTable, upstream_configs
from penstock_server.option_list import OptionList
from penstock_server.options import SettingsError, options, shown
from penstock_server.upstream.call import Call
from penstock_server.upstream.config import NativeResponses, Timeouts, Tls, UpstreamConfig
from penstock_server.upstream.headers import OWN_HEADERS, Headers

PEM = Path(__file__).parents[1] / "client" / "tls"
"""A folder with cert.pem, which is self-signed, and key.pem."""


def load(
    folder: Path, content: str, *arguments: str, environment: dict[str, str] | None = None
) -> Settings:
    """Reads a file as `penstock serve` does."""
    file = folder / "penstock.toml"
    file.write_text(content)
    known = OptionList(Settings, "PENSTOCK_")
    parser = argparse.ArgumentParser()
    known.add_to(parser)
    parsed = parser.parse_args(["--config", str(file), *arguments])
    return known.load(parsed, environment or {})


def only(settings: Settings) -> UpstreamConfig:
    (config,) = upstream_configs(settings)
    return config


ALL_KEYS = """
max_upload_bytes = 7

[[upstream]]
url = "https://vllm.example:8443/v1/"
name = "chat-a"
api_key = "sk-a"
models = ["tiny-chat", "org/other"]
weight = 2
native_responses = "auto"
wake_sleeping = true
health_path = "/health/liveliness"
max_attempts = 1
connect_timeout = 1
first_byte_timeout = 2.5
idle_timeout = 3
total_timeout = 4
merge_deltas_within = 250
headers = { X-Tenant = "t 1" }
ca_file = "PEM/cert.pem"
client_certificate_file = "PEM/cert.pem"
client_key_file = "PEM/key.pem"
max_connections = 5
"""


def test_every_key(tmp_path: Path) -> None:
    config = only(load(tmp_path, ALL_KEYS.replace("PEM", str(PEM))))
    paths = (str(PEM / "cert.pem"), str(PEM / "cert.pem"), str(PEM / "key.pem"))
    assert config.tls.digest
    assert dataclasses.replace(config, tls=Tls()) == UpstreamConfig(
        "https://vllm.example:8443",
        name="chat-a",
        api_key="sk-a",
        headers={"x-tenant": "t 1"},
        models={"tiny-chat": "tiny-chat", "org/other": "org/other"},
        weight=2.0,
        health_path="/health/liveliness",
        max_attempts=1,
        native_responses=NativeResponses.AUTO,
        wake_sleeping=True,
        timeouts=Timeouts(1, 2.5, 3, 4),
        tls=Tls(),
        merge_within_s=0.25,
        max_connections=5,
        max_upload_bytes=7,
    )
    assert (config.tls.ca_file, config.tls.certificate_file, config.tls.key_file) == paths
    assert {f"{name} =" for name in options(UpstreamTable)} - {
        line.partition("=")[0] + "=" for line in ALL_KEYS.splitlines()
    } == {"api_key_file ="}


def test_the_options_are_the_defaults_of_an_entry(tmp_path: Path) -> None:
    content = """
        upstream_api_key = "sk-all"
        native_responses = "always"
        wake_sleeping = true
        connect_timeout = 1
        first_byte_timeout = 2
        idle_timeout = 3
        merge_deltas_within = 40
        max_connections = 4
        [[upstream]]
        url = "http://a"
        [[upstream]]
        url = "http://b"
        api_key = ""
        total_timeout = 0
        merge_deltas_within = 0
        native_responses = "never"
        wake_sleeping = false
        health_path = "off"
    """
    first, second = upstream_configs(
        load(tmp_path, content, "--total-timeout", "9", "--health-path", "/up")
    )
    assert first == UpstreamConfig(
        "http://a",
        name="a",
        api_key="sk-all",
        native_responses=NativeResponses.ALWAYS,
        wake_sleeping=True,
        health_path="/up",
        timeouts=Timeouts(1, 2, 3, 9),
        merge_within_s=0.04,
        max_connections=4,
    )
    assert second.merge_within_s == 0
    assert (second.api_key, second.native_responses) == ("", "never")
    assert not second.wake_sleeping
    assert (second.health_path, second.timeouts.total) == ("", math.inf)


def test_models_under_other_names(tmp_path: Path) -> None:
    content = '[[upstream]]\nurl = "http://a"\n[upstream.models]\nfast = "org/model-7b"\n'
    assert only(load(tmp_path, content)).models == {"fast": "org/model-7b"}


def test_a_file_with_the_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-from-file\n")
    content = f'[[upstream]]\nurl = "http://a"\napi_key_file = "{tmp_path / "key"}"\n'
    settings = load(tmp_path, content)
    assert only(settings).api_key == "sk-from-file"
    assert "sk-" not in repr(settings)


URLS = {
    "http://a:8000/v1": ("http://a:8000", "a:8000"),
    "http://a:8000/base/": ("http://a:8000/base", "a:8000"),
    "unix:///run/vllm.sock": ("unix:///run/vllm.sock", "/run/vllm.sock"),
    "unix:/run/vllm.sock": ("unix:///run/vllm.sock", "/run/vllm.sock"),
    "http://[fd00::1]:8000": ("http://[fd00::1]:8000", "[fd00::1]:8000"),
    "http://vllm_1.models.svc.:80": ("http://vllm_1.models.svc.:80", "vllm_1.models.svc.:80"),
}


@pytest.mark.parametrize(("given", "known"), URLS.items(), ids=URLS)
def test_urls_and_names(given: str, known: tuple[str, str], tmp_path: Path) -> None:
    expected = UpstreamConfig(known[0], name=known[1])
    assert only(load(tmp_path, f'upstream = "{given}"')) == expected
    assert only(load(tmp_path, f'[[upstream]]\nurl = "{given}"')) == expected
    assert only(load(tmp_path, "", "--upstream", given)) == expected
    assert only(load(tmp_path, "", environment={"PENSTOCK_UPSTREAM": given})) == expected


def test_urls_and_tables_in_one_list(tmp_path: Path) -> None:
    content = 'upstream = ["http://a", { url = "http://b", weight = 0.5 }]'
    assert [(c.name, c.weight) for c in upstream_configs(load(tmp_path, content))] == [
        ("a", 1.0),
        ("b", 0.5),
    ]


def test_flags_override_tables(tmp_path: Path) -> None:
    settings = load(tmp_path, '[[upstream]]\nurl = "http://file"\n', "--upstream", "http://flag")
    assert settings.upstream == ("http://flag",)


def test_aliases_and_the_default_model(tmp_path: Path) -> None:
    content = 'default_model = "a"\n[aliases]\n"gpt-4o" = "org/model:1"\n'
    settings = load(tmp_path, content)
    assert (settings.aliases, settings.default_model) == ({"gpt-4o": "org/model:1"}, "a")
    flags = ("--alias", "x=a", "--alias", "y = b=c", "--default-model", "z")
    settings = load(tmp_path, content, *flags)
    assert (settings.aliases, settings.default_model) == ({"x": "a", "y": "b=c"}, "z")
    environment = {"PENSTOCK_ALIASES": "x=a, y=b", "PENSTOCK_DEFAULT_MODEL": "q"}
    settings = load(tmp_path, content, environment=environment)
    assert (settings.aliases, settings.default_model) == ({"x": "a", "y": "b"}, "q")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-3")
    content = f"""
        upstream = [
            {{ url = "http://a", api_key = "sk-1", headers = {{ X-Key = "sk-2" }} }},
            {{ url = "http://b", api_key_file = "{key}" }},
            "http://c",
        ]
    """
    hidden = {"api_key": "(hidden)", "headers": "(hidden)"}
    assert shown(load(tmp_path, content))["upstream"] == [
        {"url": "http://a", "weight": 1.0} | hidden,
        {"url": "http://b", "weight": 1.0, "api_key_file": str(key)},
        "http://c",
    ]


def test_reserved_headers_include_all_that_the_service_sends() -> None:
    call = Call("id", "", "t", "s", "session", 1, 2)
    assert (
        set(Headers("key").build(call, "x")) - {"user-agent"} < OWN_HEADERS
    )  # which may be configured


TABLE = '# an upstream\n\n[[upstream]]\nurl = "http://a"\n\n[[upstream]]\nurl = "http://b"\n'
HTTPS = '[[upstream]]\nurl = "https://a"\n'

# The content of the file, the line of the mistake, a part of the message.
MISTAKES: dict[str, tuple[str, int, str]] = {
    "syntax": ('a = "b"\nupstream = [\n', 2, "not valid TOML"),
    "syntax in a line": ("\n\n= 1\n", 3, "not valid TOML"),
    "Windows lines": ('a = 1\r\nlisten = "a:1"\r\n', 1, "a: unknown key"),
    "last Windows line": ('listen = "a:1"\r\na = 1', 2, "a: unknown key"),
    "after a multi-line text": ('listen = """\na:1"""\n\nb = 1', 4, "b: unknown key"),
    "after a long list": (
        'upstream = [\n"http://a",\n"http://b",\n]\nb = 1',
        5,
        "b: unknown",
    ),
    "after a longer list": ("upstream = [" + "\n" * 42 + '"http://a"]\nb = 1', 44, "b: unknown"),
    "a multi-line text": ('# a\nlisten = "a:1"\n\nb = """\n\n\n"""\n', 4, "b: unknown key"),
    "unknown option": ('\nupstrem = "http://a"', 2, "upstrem: unknown key; did you mean upstream?"),
    "option": ("# a\nidle_timeout = -1", 2, "idle_timeout: -1 must be a number of seconds"),
    "second of two": (TABLE + "weight = 0", 8, "upstream.weight: 0 must be"),
    "first of two": (TABLE.replace('a"', 'a b"'), 4, "upstream.url: 'http://a b' must be"),
    "unknown key": (TABLE + "wieght = 1", 8, "upstream.wieght: unknown key; did you mean weight?"),
    "no url": (TABLE + '[[upstream]]\nname = "c"\n', 8, "upstream: needs the key url"),
    "same name": (TABLE.replace("/b", "/a"), 6, "upstream: another upstream is named a"),
    "same URL": (
        'listen = "a:1"\nupstream = ["http://a", "http://a"]',
        2,
        "another upstream is named a",
    ),
    "single brackets": ('[upstream]\nurl = "http://a"', 1, "upstream: must be a URL, a list"),
    "empty list": ("upstream = []", 1, "upstream: must be a URL, a list"),
    "number in the list": ('upstream = [\n"http://a",\n1]', 1, "1 must be text"),
    "bad URL in the list": ('upstream = ["http://a", "b"]', 1, "upstream: 'b' must be an http"),
    "no address": (
        TABLE.replace("//a", "//1.2.3.999"),
        4,
        "upstream.url: 'http://1.2.3.999' must be",
    ),
    "no host": (TABLE.replace("//b", "//b..svc:80"), 7, "upstream.url: 'http://b..svc:80' must be"),
    "long label": (TABLE.replace("//b", f"//{'b' * 64}"), 7, "must be an http, https or unix URL"),
    "bad name": (TABLE + 'name = "a b"', 8, "upstream.name: 'a b' must be printable ASCII"),
    "key file missing": (TABLE + 'api_key_file = "/no"', 8, "upstream.api_key_file: '/no' cannot"),
    "key file empty": (TABLE + 'api_key_file = "/dev/null"', 8, "contains no key"),
    "two keys": (
        TABLE + 'api_key = "sk-secret"\napi_key_file = "FOLDER/key"',
        9,
        "upstream.api_key_file: cannot be given together with api_key",
    ),
    "secret": (TABLE + 'api_key = "sk-secret schlüssel"', 8, "upstream.api_key: must be printable"),
    "no models": (TABLE + "models = []", 8, "upstream.models: must name a model"),
    "models by number": (TABLE + "models = [1]", 8, "upstream.models: must be a list of models"),
    "models as text": (TABLE + 'models = "a"', 8, "upstream.models: must be a list of models"),
    "model without name": (TABLE + '[upstream.models]\na = "b"\nc = ""', 10, "upstream.models.c"),
    "weight as text": (TABLE + 'weight = "1"', 8, "upstream.weight: '1' must be a number"),
    "weight too small": (TABLE + "weight = 5e-324", 8, "upstream.weight: 5e-324 must be a number"),
    "weight too large": (TABLE + "weight = inf", 8, "upstream.weight: inf must be a number"),
    "native": (TABLE + 'native_responses = "yes"', 8, "upstream.native_responses: 'yes' must be"),
    "timeout": (TABLE + "idle_timeout = 0", 8, "upstream.idle_timeout: 0 must be above 0"),
    "connections": (TABLE + "max_connections = 0", 8, "upstream.max_connections: 0 must be"),
    "health": (TABLE + 'health_path = "health"', 8, "upstream.health_path: 'health' must be the"),
    "no attempt": (TABLE + "max_attempts = 0", 8, "upstream.max_attempts: 0 must be above 0"),
    "headers": (TABLE + 'headers = "a"', 8, "upstream.headers: must be a table"),
    "own header": (
        TABLE + '[upstream.headers]\nx-a = "b"\nAuthorization = "Bearer sk-secret"',
        10,
        "upstream.headers.Authorization: is set by the service itself",
    ),
    "no header": (TABLE + '[upstream.headers]\n"a b" = "c"', 9, "is not a valid header name"),
    "header twice": (TABLE + '[upstream.headers]\na = "b"\nA = "c"', 10, "headers.A: is given twi"),
    "header value": (
        TABLE + '[upstream.headers]\na = "sk-secret\\n"',
        9,
        "headers.a: must be print",
    ),
    "CA without TLS": (
        TABLE + 'ca_file = "PEM/cert.pem"',
        8,
        "upstream.ca_file: requires an https",
    ),
    "CA missing": (HTTPS + 'ca_file = "/no"', 3, "upstream.ca_file: '/no' cannot be read"),
    "no CA": (HTTPS + 'ca_file = "PEM/key.pem"', 3, "upstream.ca_file: contains no certificates"),
    "no certificate": (
        HTTPS + 'client_certificate_file = "PEM/key.pem"',
        3,
        "upstream.client_certificate_file: and its key cannot be used",
    ),
    "key of none": (
        HTTPS + 'client_key_file = "PEM/key.pem"',
        3,
        "upstream.client_key_file: needs client_certificate_file",
    ),
    "socket": ('\nupstream = "unix://run/vllm.sock"', 2, "must be an http, https or unix URL"),
    "socket without path": ('upstream = "unix:/"', 1, "must name a socket by its absolute path"),
    "socket too long": (f'upstream = "unix:///{"x" * 107}"', 1, "longer than 107 bytes"),
    "credentials": ('upstream = "http://me:sk-secret@a"', 1, "must not contain credentials"),
    "strange credentials": (
        'upstream = "http://me:sk-sécret@a"',
        1,
        "must not contain credentials",
    ),
    "broken credentials": (
        'upstream = "http://me:sk-[secret@a"',
        1,
        "must not contain credentials",
    ),
    "split credentials": (TABLE.replace("/b", "/me:sk-/x@b"), 7, "must not contain credentials"),
    "credentials in a query": ('upstream = "http://a?key=sk-x"', 1, "must not have a query"),
    "aliases": ('\naliases = "a"', 2, "aliases: 'a' must be NAME=VALUE"),
    "alias": ('[aliases]\na = "b"\nc = 1', 3, "aliases.c: must be text"),
    "listen": ('listen = [\n"unix:relative"\n]', 1, "listen: 'unix:relative' must name a socket"),
    "listen nowhere": ("listen = []", 1, "listen: must be a list that is not empty"),
}


@pytest.mark.parametrize(("content", "line", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(content: str, line: int, problem: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-secret")
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, content.replace("PEM", str(PEM)).replace("FOLDER", str(tmp_path)))
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'penstock.toml'}:{line}: "), message
    assert problem in message
    assert "\n" not in message
    assert "sk-" not in message


FLAGS: dict[str, tuple[tuple[str, ...], str]] = {
    "alias": (("--alias", "a"), "--alias: 'a' must be NAME=VALUE"),
    "alias twice": (("--alias", "a=b", "--alias", "a=c"), "--alias.a: is given twice"),
    "upstream twice": (("--upstream", "http://a", "--upstream", "http://a/x"), "is named a;"),
    "upstream": (("--upstream", "http://a", "--upstream", "b"), "--upstream: 'b' must be an http"),
    "credentials": (("--upstream", "http://me:sk-secret@a"), "must not contain credentials"),
}


@pytest.mark.parametrize(("flags", "problem"), FLAGS.values(), ids=FLAGS)
def test_mistakes_in_flags(flags: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, "", *flags)
    assert problem in str(raised.value)
    assert "sk-" not in str(raised.value)


def test_a_changed_certificate_counts_as_a_change(tmp_path: Path) -> None:
    ca: Any = tmp_path / "ca.pem"
    ca.write_bytes((PEM / "cert.pem").read_bytes())
    content = f'[[upstream]]\nurl = "https://a"\nca_file = "{ca}"\n'
    before, again = only(load(tmp_path, content)), only(load(tmp_path, content))
    assert before == again
    ca.write_bytes(ca.read_bytes() * 2)
    assert only(load(tmp_path, content)) != before
