"""The keys file: valid contents, and error messages for others."""

import hashlib
from pathlib import Path

import pytest
from steps import steps

from penstock_server.configuration import Key, read_keys
from penstock_server.options import SettingsError

from .process import penstock

DIGEST = hashlib.sha256(b"sk-b").digest()
SECRET = "sk-never-to-be-shown"


def test_all_valid_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        f"""
        # Ours.
        [[key]]
        name = "a"
        secret = "sk-a"

        [[key]]
        name = "b"
        sha256 = "{DIGEST.hex().upper()}"
        models = ["tiny-chat", "lab/*"]
        requests_per_minute = 60
        """
    )
    assert read_keys(str(path)) == (
        Key("a", hashlib.sha256(b"sk-a").digest()),
        Key("b", DIGEST, ("tiny-chat", "lab/*"), 60),
    )


def test_many_keys(tmp_path: Path) -> None:
    def read(count: int) -> None:
        path = tmp_path / "keys.toml"
        names = (f"k{number:04}" for number in range(count))
        path.write_text("".join(f'[[key]]\nname="{name}"\nsecret="sk-{name}"\n' for name in names))
        assert len(read_keys(str(path))) == count

    assert steps(lambda: read(1600)) < 2.1 * steps(lambda: read(800))


A_KEY = f'[[key]]\nname = "a"\nsecret = "{SECRET}"\n'
B_KEY = A_KEY.replace('"a"', '"b"')
UNUSABLE = {
    "empty": ("", 1, "needs a [[key]] table"),
    "no TOML": (f"[[key]]\nsecret = {SECRET}", 2, "not valid TOML"),
    "another table": (f"{A_KEY}[[keys]]\nname='b'", 4, "keys: unknown key"),
    "one table": (f'[key]\nname = "a"\nsecret = "{SECRET}"', 1, "needs a [[key]] table"),
    "no table": (f'key = ["{SECRET}"]', 1, "key 1: must be a table"),
    "no name": (f'[[key]]\nsecret = "{SECRET}"', 1, "key 1: needs the key name"),
    "empty name": ('[[key]]\nname = ""\n', 2, "name: '' must be 1 to 64 printable characters"),
    "a name with two lines": ('[[key]]\nname = "a\\nb"\n', 2, "must be 1 to 64 printable"),
    "no secret": ('[[key]]\nname = "a"', 1, "key 'a': needs either secret or sha256"),
    "empty secret": ('[[key]]\nname = "a"\nsecret = ""', 1, "needs either secret or sha256"),
    "both": (f'{A_KEY}sha256 = "{DIGEST.hex()}"', 1, "needs either secret or sha256"),
    "a secret that is not text": ('[[key]]\nname = "a"\nsecret = 1234', 3, "secret: must be text"),
    "a secret with two lines": (f'[[key]]\nname="a"\nsecret = """{SECRET}\n"""', 3, "printable"),
    "a short digest": (f'[[key]]\nname = "a"\nsha256 = "{SECRET}"', 3, "key 'a'.sha256: "),
    "an unknown key": (f'{A_KEY}model = ["x"]', 4, "key 'a'.model: unknown key"),
    "models that are not a list": (f"{A_KEY}models = 1", 4, "must be a list of names"),
    "no models": (f"{A_KEY}models = []", 4, "omit it to permit every model"),
    "an empty model": (f'{A_KEY}models = ["x", ""]', 4, "names that are not empty"),
    "no requests": (f"{A_KEY}requests_per_minute = 0", 4, "0 must be above 0"),
    "half requests": (f"{A_KEY}requests_per_minute = 0.5", 4, "0.5 must be a whole number"),
    "a name twice": (f"{A_KEY}{A_KEY.replace(SECRET, 'sk-b')}", 4, "another key has this name"),
    "a secret twice": (f"{A_KEY}{B_KEY}", 4, "a has the same secret"),
}


@pytest.mark.parametrize(("content", "line", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_file(content: str, line: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        read_keys(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)
    assert "sk-" not in str(caught.value)


async def test_an_unusable_file_prevents_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f"{A_KEY}models = []")
    result = await penstock("serve", "--keys-file", str(path))
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert result.err.startswith(f"penstock: {path}:4: key 'a'.models: must be a list")
    result = await penstock("serve", "--keys-file", str(tmp_path / "no.toml"))
    assert (result.code, result.err) == (
        3,
        f"penstock: cannot read {tmp_path / 'no.toml'}: No such file or directory\n",
    )


async def test_keys_and_forwarding_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(A_KEY)
    result = await penstock("serve", "--keys-file", str(path), "--forward-authorization", "true")
    assert (result.code, result.err.count("\n")) == (3, 1)
    assert result.err.startswith("penstock: forward_authorization excludes keys_file: ")
