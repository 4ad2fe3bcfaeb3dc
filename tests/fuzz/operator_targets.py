"""Fuzz targets for configuration files of operators, and for error texts of upstreams."""

import argparse
import atexit
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from penstock_server.configuration import Settings, read_callers
from penstock_server.option_list import OptionList
from penstock_server.options import SettingsError
from penstock_server.upstream.redaction import Redaction

_SECRETS = frozenset({"api_key", "upstream_api_key", "keys", "keys_sha256", "headers"})
_SHORTEST_SECRET = 8
_OPTIONS: OptionList[Settings] = OptionList(Settings, "PENSTOCK_")


def _file() -> str:
    descriptor, path = tempfile.mkstemp(suffix=".toml")
    os.close(descriptor)
    atexit.register(os.unlink, path)
    return path


_PATH = _file()


def configuration(data: bytes) -> None:
    """Reads a configuration file: settings, or a line of the file and the error there."""
    if re.search(rb"/(?:dev|proc|sys)", data):
        return  # a file that it names is read
    _check(data, lambda: _OPTIONS.load(argparse.Namespace(config=_PATH), {}))


def callers(data: bytes) -> None:
    """Reads a file of callers: distinct identities, or a line and the error there."""

    def read() -> None:
        found = read_callers(_PATH)
        identities = [identity for caller in found for identity in caller.identities]
        assert len({caller.name for caller in found}) == len(found)
        assert len(set(identities)) == len(identities) >= len(found)
        assert all(len(key) == 32 for caller in found for key in caller.keys)

    _check(data, read)


def _check(data: bytes, read: Any) -> None:
    with open(_PATH, "wb") as file:
        file.write(data)
    try:
        read()
    except SettingsError as error:
        said = str(error)
        at = re.match(rf"{re.escape(_PATH)}:(\d+): ", said)
        assert at, said
        assert 1 <= int(at[1]) <= data.count(b"\n") + 1
        assert not [secret for secret in _secrets(data) if secret in said], said


def _secrets(data: bytes) -> set[str]:
    """Returns the texts that occur only as secrets."""
    secret: list[str] = []
    other: list[str] = []

    def walk(value: Any, to: list[str]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                other.append(key)
                walk(inner, secret if key in _SECRETS else to)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, to)
        else:
            to.append(str(value))

    with suppress(ValueError, RecursionError):
        walk(tomllib.loads(data.decode()), other)
    return {
        one
        for one in secret
        if len(one) >= _SHORTEST_SECRET and not any(one in text for text in other)
    }


_PLACEHOLDERS = "(hidden)(url)(address)(path)"


def redaction(data: bytes) -> None:
    """Redacts a secret in a text; the first byte determines the length of the secret."""
    size = data[0]
    secret, text = _text(data[1 : size + 1]), _text(data[size + 1 :])
    hidden = Redaction([secret], []).text(f"{text} {secret}{text}")
    if len(secret) > 3 and not any(one in secret for one in "()"):
        assert secret not in hidden or secret in _PLACEHOLDERS
    known = Redaction([], [text]).text(text)
    token = "".join(one for one in secret if one.isascii() and one.isalnum())
    if len(token) >= 16 and token not in text:
        for form in (f"{text} Bearer {token}", f"{text} sk-{token}", f"{text} hf_{token}"):
            assert token not in Redaction([], []).text(form)
        for place in (f"/home/{token}/a.txt", f"https://{token}/x", f"unix:/run/{token}"):
            assert token not in Redaction([], []).text(f"{text} {place}")
            assert Redaction([], [place]).text(place) == place
    assert len(known) <= 16 * len(text) + 16


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# Initial inputs


def configuration_seeds() -> Iterator[bytes]:
    """Returns valid and nearly valid files."""
    yield b'upstream = ["http://a:8000", "unix:///tmp/b"]\nupstream_api_key = "sk-0123456789"\n'
    yield b'listen = "127.0.0.1:1"\nworkers = 2\nidle_timeout = 1.5\nlog_format = "json"\n'
    yield (
        b'[[upstream]]\nurl = "https://a/v1"\napi_key = "k-0123456789"\nweight = 2\n'
        b'models = {a = "b"}\n[upstream.headers]\nX-Key = "s-0123456789"\n'
    )
    yield b'[[upstream]]\nurl = "http://a"\nname = "x"\n[[upstream]]\nurl = "http://b"\nname = "x"'
    yield b'upstream = """\nhttp://a\n"""\nunknown = 1\n'
    yield b'upstream = "http://u:p@a"\nalias = ["a=b"]\n'
    yield b"a = " + b"[" * 2000


def caller_seeds() -> Iterator[bytes]:
    """Returns valid and nearly valid files of callers."""
    yield b'[[caller]]\nname = "a"\nkeys = ["s-0123456789"]\nmodels = ["a*"]\ncalls_per_minute=1\n'
    yield (
        b'[[caller]]\nname = "a"\nkeys_sha256 = ["'
        + b"0f" * 32
        + b'"]\n[[caller]]\nname = "b"\nspiffe_ids = ["spiffe://a/b"]\ndns_names = ["a.b"]\n'
    )
    yield b'[[caller]]\nname = "a"\nkeys = ["s-0123456789"]\n[[caller]]\nname = "a"\nkeys = ["t"]\n'
    yield b'caller = [1, {name = "a\\u0000"}]\n'
    yield b'[[callers]]\nname = "a"\n'
    yield b'[[caller]]\nname = "a"\nkeys = ["s-0123456789\\n"]\n'


def redaction_seeds() -> Iterator[bytes]:
    """Returns error texts of upstreams."""
    for text in (
        "Incorrect API key provided: sk-0123456789abcdef",
        "cannot load /home/user/models/llama.safetensors, see https://a.example/x?y#z",
        "Authorization: Bearer abcdefgh12345678 at 10.1.2.3:8000 or [::1]:80, host vllm-0:8000",
        "model `/models/a` at unix:/run/x.sock; localhost:8000; a.svc",
    ):
        for secret in ("abcdefgh12345678", "0123456789abcdef0123"):
            yield bytes([len(secret)]) + secret.encode() + text.encode()
