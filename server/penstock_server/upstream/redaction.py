"""Removes keys, addresses and paths of files from an upstream's messages."""

import re
from collections.abc import Collection
from functools import partial

from penstock_server.upstream.error_body import ErrorBody
from penstock_server.upstream.merging import JsonObject

_HIDDEN = "(hidden)"
_SHORTEST_KEY = 4
"""Shorter secrets protect nothing, and may be parts of ordinary words."""

_KEYS = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[\w.*~+/=-]{6,}"
    r"|\bsk-[\w*.-]{6,}"
    r"|\b(?:hf|gh[opsu])_[A-Za-z0-9]{16,}"
)
# Only absolute paths below common folders of servers: other texts that begin with a slash, such
# as routes and JSON pointers, help the caller.
_FOLDERS = (
    "app|bin|boot|cache|checkpoints|data|dev|etc|home|lib|lib64|media|mnt|models?|nfs|nix|opt|proc"
    "|root|run|sbin|scratch|shared|srv|sys|tmp|usr|var|vllm-workspace|workspace|Users|private"
)
_PATHS = re.compile(rf"(?<![\w.:/#~@-])/(?:{_FOLDERS})(?:/[\w.@%+=-]+)+/?")
_REST = r"[^\s\"'`<>{}|\\^()\[\],;]*[\w/=&#%-]"
_URLS = re.compile(
    rf"(?i)(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]{{0,31}}://(?:\[[0-9a-f:.%]+\])?(?:{_REST})?"
    rf"|unix:{_REST})"
)
_PORT = r":[0-9]{1,5}(?![\w:])"
_NAME = r"(?:[a-z0-9][a-z0-9_-]{0,62}\.){1,32}"
_FILES = "c|cc|cpp|cu|go|h|html|jinja|jinja2|js|json|jsonl|log|md|py|rs|so|toml|ts|txt|yaml|yml"
_ADDRESSES = re.compile(
    rf"(?i)(?<![\w.:-])(?:(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}(?![\w.-]*\w)(?:{_PORT})?"
    rf"|\[[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*\](?:{_PORT})?"
    r"|(?=[0-9a-f:]*::)[0-9a-f:]{3,39}(?![\w:])"
    rf"|localhost{_PORT}"
    rf"|{_NAME}(?!(?:{_FILES}):)[a-z][a-z0-9-]{{0,62}}{_PORT}"
    rf"|{_NAME}(?:svc|local|internal|lan)(?![\w.-]*\w)"
    # Only names without a dot that contain a number or are in the place of an address.
    r"|[a-z][a-z0-9_]*(?:-[a-z0-9_]+)+:[0-9]{2,5}(?![\w:])"
    r"|(?:(?<=host )|(?<=to )|(?<=at )|(?<=from ))[a-z][a-z0-9_-]*:[0-9]{4,5}(?![\w:]))"
)


class Redaction:
    """Removes keys, addresses and paths from an upstream's messages."""

    def __init__(self, secrets: Collection[str], known: Collection[str], sent: bytes = b"") -> None:
        """Creates the redaction for one request.

        Args:
            secrets: secrets to remove; some upstreams echo the key that they refuse.
            known: texts that the caller knows although they look like paths: names of models.
            sent: the body of the request; the caller knows the URLs in it.
        """
        self._secrets = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]
        self._known = known
        self._sent = sent

    def text(self, text: str) -> str:
        """Returns a text without keys, addresses and paths."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _KEYS.sub(_HIDDEN, text)
        text = _URLS.sub(partial(self._unless_known, "(url)"), text)
        text = _ADDRESSES.sub(partial(self._unless_known, "(address)"), text)
        return _PATHS.sub(partial(self._unless_known, "(path)"), text)

    def _unless_known(self, replacement: str, found: re.Match[str]) -> str:
        known = found[0] in self._known or found[0].encode("utf-8", "replace") in self._sent
        return found[0] if known else replacement

    def error(self, said: ErrorBody) -> ErrorBody:
        """Returns an error without keys, addresses and paths."""
        return ErrorBody(
            message=self.text(said.message),
            type=self.text(said.type),
            param=self.text(said.param),
            code=self.text(said.code) if isinstance(said.code, str) else said.code,
            bare=said.bare,
            faults=tuple((where, self.text(what)) for where, what in said.faults),
        )

    def response(self, response: JsonObject) -> None:
        """Removes keys, addresses and paths from the error of a stored response."""
        error = response.get("error")
        if isinstance(error, dict):
            error.update({k: self.text(said) for k, said in error.items() if isinstance(said, str)})
