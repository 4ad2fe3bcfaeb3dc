"""Settings from arguments and the environment, and values that cannot be sent."""

from typing import Any

import pytest

from penstock import TLS, AsyncClient, Client
from penstock._base.settings import Settings, Unset


def resolve(environment: dict[str, str] | None = None, **given: Any) -> Settings:
    defaults: dict[str, Any] = {
        "target": None,
        "api_key": None,
        "tls": None,
        "timeout": Unset.UNSET,
        "retries": None,
        "metadata": (),
    }
    return Settings.resolve(**(defaults | given), environment=environment or {})


ENVIRONMENT = {
    "PENSTOCK_TARGET": "there:1",
    "PENSTOCK_API_KEY": "secret",
    "PENSTOCK_TIMEOUT": "2.5",
    "PENSTOCK_RETRIES": "0",
    "PENSTOCK_TLS_CA": "ca.pem",
    "PENSTOCK_TLS_CERT": "cert.pem",
    "PENSTOCK_TLS_KEY": "key.pem",
}


def test_defaults() -> None:
    assert resolve() == Settings("127.0.0.1:50051", "", None, 600.0, 2, ())


def test_environment() -> None:
    tls = TLS("ca.pem", "cert.pem", "key.pem")
    settings = resolve(ENVIRONMENT)
    assert settings == Settings("there:1", "secret", tls, 2.5, 0, ())
    assert "secret" not in repr(settings)
    assert resolve({"PENSTOCK_TIMEOUT": "0"}).timeout is None
    spaced = {name: f" {value}\n" for name, value in ENVIRONMENT.items()}
    assert resolve(spaced) == settings


@pytest.mark.parametrize("word", ["1", "true", "on", "yes", "0", "false", "off", "no", "", "YES"])
def test_words_for_tls(word: str) -> None:
    yes = word.lower() in ("1", "true", "on", "yes")
    assert resolve({"PENSTOCK_TLS": word}).tls == (TLS() if yes else None)
    with_ca = resolve({"PENSTOCK_TLS": word, "PENSTOCK_TLS_CA": "ca.pem"}).tls
    assert with_ca == (TLS("ca.pem") if yes or not word else None)


@pytest.mark.parametrize("part", ["CA", "CERT", "KEY"])
def test_each_file_means_tls(part: str) -> None:
    assert resolve({f"PENSTOCK_TLS_{part}": "a.pem"}).tls == TLS(**{part.lower(): "a.pem"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TLS", "maybe", "PENSTOCK_TLS is 'maybe'; it must be 1 or 0"),
        ("TIMEOUT", "abc", "PENSTOCK_TIMEOUT is 'abc'; it must be a number of seconds"),
        ("TIMEOUT", "-1", "PENSTOCK_TIMEOUT is '-1'"),
        ("TIMEOUT", "nan", "PENSTOCK_TIMEOUT is 'nan'"),
        ("TIMEOUT", "inf", "PENSTOCK_TIMEOUT is 'inf'"),
        ("RETRIES", "two", "PENSTOCK_RETRIES is 'two'; it must be a whole number"),
        ("API_KEY", "sk-\xe4", "the API key is not printable ASCII"),
        ("API_KEY", "sk-\ta", "the API key is not printable ASCII"),
        ("TARGET", "http://me:sk-a@a:1", "the target must not contain credentials"),
        ("TARGET", "me:sk-a@a:1", "the target must not contain credentials"),
    ],
)
def test_invalid_variables(name: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        resolve({f"PENSTOCK_{name}": value})
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-a\n", " sk-a", "sk-a\r\n"])
def test_a_key_with_white_space(key: str) -> None:
    assert resolve({"PENSTOCK_API_KEY": key}).api_key == key.strip()
    with pytest.raises(ValueError, match="begins or ends with white space") as caught:
        resolve(api_key=key)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("pair", "error"),
    [
        (("x", "\xe4"), ValueError),
        (("x", "a\n"), ValueError),
        (("x", b"\xff"), ValueError),
        (("x y", "a"), ValueError),
        (("", "a"), ValueError),
        (("x", 1), TypeError),
        (("x-bin", "a"), TypeError),
    ],
)
async def test_metadata_that_cannot_be_sent(
    kind: Any, pair: Any, error: type[Exception], target: str
) -> None:
    with pytest.raises(error, match="metadata"):
        kind(target, metadata=[pair])
    client = kind(target)
    with pytest.raises(error, match="metadata"):
        await client.chat.create("Hi", metadata=[pair])
    with pytest.raises(error, match="metadata"):
        client.chat.stream("Hi", metadata=[pair])
    with pytest.raises(ValueError, match="metadata"):
        client.chat.stream("Hi", request_id="a\n")


async def test_metadata_that_can_be_sent(target: str) -> None:
    given: Any = {"X-Text": "a b", "x-bytes": b"a", "x-bin": b"\xff", "a.b_c-d": ""}
    async with AsyncClient(target, metadata=given) as client:
        assert await client.health(metadata=given)


def test_arguments_take_precedence() -> None:
    given: dict[str, Any] = {
        "target": "here:1",
        "api_key": "",
        "tls": False,
        "timeout": None,
        "retries": 3,
        "metadata": {"A": "b"},
    }
    settings = resolve(ENVIRONMENT, **given)
    assert settings == Settings("here:1", "", None, None, 3, (("a", "b"),))


@pytest.mark.parametrize("target", ["http://localhost:50051", "https://x"])
def test_a_url_is_not_a_valid_target(target: str) -> None:
    with pytest.raises(ValueError, match="use host:port"):
        Client(target)
