"""What an upstream said, without what is no business of callers: keys, and where its files are."""

import re
from collections.abc import Collection

from penstock_server.upstream.failure import ErrorBody, UpstreamFailure

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


def redact(failure: UpstreamFailure, secrets: Collection[str], known: Collection[str]) -> None:
    """Takes keys and paths out of all that a failure tells.

    Args:
        failure: the failure.
        secrets: what must not be told: some upstreams echo the key that they refuse.
        known: what the caller knows, though it may look like a path: a model's name.
    """
    hidden = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]

    def clean(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, _HIDDEN)
        text = _KEYS.sub(_HIDDEN, text)
        return _PATHS.sub(lambda path: path[0] if path[0] in known else "(path)", text)

    failure.message = clean(failure.message)
    said = failure.error
    failure.error = ErrorBody(
        message=clean(said.message),
        type=clean(said.type),
        param=clean(said.param),
        code=clean(said.code) if isinstance(said.code, str) else said.code,
        bare=said.bare,
        faults=tuple((where, clean(what)) for where, what in said.faults),
    )
