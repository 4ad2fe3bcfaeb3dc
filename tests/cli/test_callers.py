"""The file of callers: valid contents, and error messages for others."""

import hashlib
from pathlib import Path

import pytest
from steps import steps

from penstock_server.configuration import Caller, read_callers
from penstock_server.options import SettingsError

from .process import penstock

DIGEST = hashlib.sha256(b"sk-b").digest()
SECRET = "sk-never-to-be-shown"
SPIFFE = "spiffe://example.org/ns/search/sa/api"


def test_all_valid_keys(tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    path.write_text(
        f"""
        # Ours.
        [[caller]]
        name = "a"
        keys = "sk-a"

        [[caller]]
        name = "b"
        keys = ["sk-b", "sk-new", "sk-b"]
        keys_sha256 = ["{DIGEST.hex().upper()}"]
        spiffe_ids = ["{SPIFFE}"]
        dns_names = ["Search.example.org", "search"]
        models = ["tiny-chat", "lab/*"]
        methods = ["penstock.v1.ChatCompletionService/*", "/penstock.v1.ModelService/ListModels"]
        calls_per_minute = 60
        concurrent_calls = 8
        tokens_per_minute = 9000
        admin = true
        """
    )
    assert read_callers(str(path)) == (
        Caller("a", (hashlib.sha256(b"sk-a").digest(),)),
        Caller(
            "b",
            (DIGEST, hashlib.sha256(b"sk-new").digest()),
            (SPIFFE,),
            ("search.example.org", "search"),
            ("tiny-chat", "lab/*"),
            ("penstock.v1.ChatCompletionService/*", "penstock.v1.ModelService/ListModels"),
            60,
            8,
            9000,
            admin=True,
        ),
    )


def test_many_callers(tmp_path: Path) -> None:
    def read(count: int) -> None:
        path = tmp_path / "callers.toml"
        names = (f"k{number:04}" for number in range(count))
        tables = (f'[[caller]]\nname="{name}"\nkeys="sk-{name}"\n' for name in names)
        path.write_text("".join(tables))
        assert len(read_callers(str(path))) == count

    assert steps(lambda: read(1600)) < 2.1 * steps(lambda: read(800))


ONE = '[[caller]]\nname = "a"\n'
A_KEY = f'{ONE}keys = ["{SECRET}"]\n'
B_KEY = A_KEY.replace('"a"', '"b"')
NOT_SPIFFE = {
    "of another scheme": "https://example.org/a",
    "without a trust domain": "spiffe:///a",
    "with capitals in the trust domain": "spiffe://Example.org/a",
    "with a port": "spiffe://example.org:80/a",
    "with a user": "spiffe://me@example.org/a",
    "with a pattern": "spiffe://example.org/*",
    "with a slash at the end": "spiffe://example.org/a/",
    "with an empty segment": "spiffe://example.org//a",
    "with a relative segment": "spiffe://example.org/a/../b",
    "with a query": "spiffe://example.org/a?b",
    "with an escape": "spiffe://example.org/%61",
    "that is too long": "spiffe://example.org/" + "a" * 2048,
    "with a line": "spiffe://example.org/a\\n",
}
NOT_DNS = {
    "empty": "",
    "with a wildcard": "*.example.org",
    "an address": "10.0.0.1",
    "with an empty label": "a..b",
    "with a dot at the end": "example.org.",
    "with a long label": "a" * 64,
    "too long": "a." * 127 + "a",
    "not ASCII": "bücher.example",
    "a URL": "https://example.org",
}
UNUSABLE = {
    "empty": ("", 1, "needs a [[caller]] table"),
    "no TOML": (f"[[caller]]\nkeys = {SECRET}", 2, "not valid TOML"),
    "another table": (
        f"{A_KEY}[[callers]]\nname='b'",
        4,
        "callers: unknown key; did you mean caller?",
    ),
    "one table": (f'[caller]\nname = "a"\nkeys = ["{SECRET}"]', 1, "needs a [[caller]] table"),
    "no table": (f'caller = ["{SECRET}"]', 1, "caller 1: must be a table"),
    "no name": (f'[[caller]]\nkeys = ["{SECRET}"]', 1, "caller 1: needs the key name"),
    "empty name": ('[[caller]]\nname = ""\n', 2, "name: '' must be 1 to 64 printable characters"),
    "a name with two lines": ('[[caller]]\nname = "a\\nb"\n', 2, "must be 1 to 64 printable"),
    "no identity": (ONE, 1, "caller 'a': needs keys, keys_sha256, spiffe_ids or dns_names"),
    "no keys": (f"{ONE}keys = []", 3, "keys: must be a list that is not empty"),
    "an empty key": (f'{ONE}keys = [""]', 3, "keys: must not be empty"),
    "a key that is not text": (f"{ONE}keys = [1234]", 3, "keys: must be text"),
    "a key with two lines": (f'{ONE}keys = ["""{SECRET}\n"""]', 3, "printable"),
    "a short digest": (f'{ONE}keys_sha256 = ["{SECRET}"]', 3, "caller 'a'.keys_sha256: must be"),
    "an unknown key": (f'{A_KEY}model = ["x"]', 4, "caller 'a'.model: unknown key"),
    "models that are not a list": (f"{A_KEY}models = 1", 4, "must be a list of names"),
    "no models": (f"{A_KEY}models = []", 4, "omit it to permit every model"),
    "an empty model": (f'{A_KEY}models = ["x", ""]', 4, "names that are not empty"),
    "no methods": (f"{A_KEY}methods = []", 4, "omit it to permit every method"),
    "a service without a method": (
        f'{A_KEY}methods = ["penstock.v1.ChatCompletionService"]',
        4,
        "'penstock.v1.ChatCompletionService' must be SERVICE/METHOD, such as",
    ),
    "no calls": (f"{A_KEY}calls_per_minute = 0", 4, "0 must be above 0"),
    "half calls": (f"{A_KEY}calls_per_minute = 0.5", 4, "0.5 must be a whole number"),
    "no calls at once": (f"{A_KEY}concurrent_calls = 0", 4, "concurrent_calls: 0 must be above 0"),
    "no tokens": (f"{A_KEY}tokens_per_minute = -1", 4, "tokens_per_minute: -1 must be a whole"),
    "a right that is no switch": (f"{A_KEY}admin = 2", 4, "admin: 2 must be true or false"),
    "a name twice": (f"{A_KEY}{A_KEY.replace(SECRET, 'sk-b')}", 4, "another caller has this name"),
    "a key twice": (f"{A_KEY}{B_KEY}", 4, "caller 'b': a has the same key"),
    "an identity twice": (
        f'{A_KEY}spiffe_ids = ["{SPIFFE}"]\n[[caller]]\nname = "b"\nspiffe_ids = ["{SPIFFE}"]',
        5,
        f"caller 'b': a has the identity {SPIFFE}",
    ),
    "a DNS name twice": (
        f'{A_KEY}dns_names = ["a.b"]\n[[caller]]\nname = "b"\ndns_names = ["A.B"]',
        5,
        "caller 'b': a has the identity a.b",
    ),
    **{
        f"a SPIFFE id {name}": (f'{ONE}spiffe_ids = ["{one}"]', 3, "must be a SPIFFE id, such as")
        for name, one in NOT_SPIFFE.items()
    },
    **{
        f"a DNS name {name}": (f'{ONE}dns_names = ["{one}"]', 3, "must be a DNS name without")
        for name, one in NOT_DNS.items()
    },
}


@pytest.mark.parametrize(("content", "line", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_file(content: str, line: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        read_callers(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)
    assert "sk-" not in str(caught.value)


async def test_an_unusable_file_prevents_the_start(tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    path.write_text(f"{A_KEY}models = []")
    result = await penstock("serve", "--callers-file", str(path))
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert result.err.startswith(f"penstock: {path}:4: caller 'a'.models: must be a list")
    result = await penstock("serve", "--callers-file", str(tmp_path / "no.toml"))
    assert (result.code, result.err) == (
        3,
        f"penstock: cannot read {tmp_path / 'no.toml'}: No such file or directory\n",
    )


async def test_callers_and_forwarding_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "callers.toml"
    path.write_text(A_KEY)
    result = await penstock("serve", "--callers-file", str(path), "--forward-authorization", "true")
    assert (result.code, result.err.count("\n")) == (3, 1)
    assert result.err.startswith("penstock: forward_authorization excludes callers_file: ")
