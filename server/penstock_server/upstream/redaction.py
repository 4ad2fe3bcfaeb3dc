"""What an upstream said, without what is no business of callers: keys, and where its files are."""

import re
from collections.abc import Collection
from typing import Any

from penstock_server.upstream.failure import ErrorBody, UpstreamFailure

JsonObject = dict[str, Any]

_HIDDEN = "(hidden)"
_SHORTEST_KEY = 4
"""Shorter ones protect nothing, and are parts of ordinary words."""

_KEYS = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[\w.*~+/=-]{6,}"
    r"|\bsk-[\w*.-]{6,}"
    r"|\b(?:hf|gh[opsu])_[A-Za-z0-9]{16,}"
)
# Of absolute paths, those below folders that servers are made of: other texts with a slash in
# front, such as routes and JSON pointers, help the caller.
_FOLDERS = (
    "app|bin|boot|cache|checkpoints|data|dev|etc|home|lib|lib64|media|mnt|models?|nfs|nix|opt|proc"
    "|root|run|sbin|scratch|shared|srv|sys|tmp|usr|var|vllm-workspace|workspace|Users|private"
)
_PATHS = re.compile(rf"(?<![\w.:/#~@-])/(?:{_FOLDERS})(?:/[\w.@%+=-]+)+/?")


class Redaction:
    """Takes keys and paths out of what an upstream said."""

    def __init__(self, secrets: Collection[str], known: Collection[str]) -> None:
        """Takes what to look for beside what looks like it.

        Args:
            secrets: what must not be told: some upstreams echo the key that they refuse.
            known: what the caller knows, though it may look like a path: a model's name.
        """
        self._secrets = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]
        self._known = known

    def text(self, text: str) -> str:
        """Returns a text without them."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _KEYS.sub(_HIDDEN, text)
        return _PATHS.sub(lambda path: path[0] if path[0] in self._known else "(path)", text)

    def failure(self, failure: UpstreamFailure) -> None:
        """Takes them out of all that a failure tells."""
        failure.message = self.text(failure.message)
        said = failure.error
        failure.error = ErrorBody(
            message=self.text(said.message),
            type=self.text(said.type),
            param=self.text(said.param),
            code=self.text(said.code) if isinstance(said.code, str) else said.code,
            bare=said.bare,
            faults=tuple((where, self.text(what)) for where, what in said.faults),
        )

    def response(self, response: JsonObject) -> None:
        """Takes them out of why a stored response failed."""
        error = response.get("error")
        if isinstance(error, dict):
            error.update({k: self.text(said) for k, said in error.items() if isinstance(said, str)})
