"""Artificial but fixed log probabilities, in the shapes of chat answers and prompts."""

import zlib
from collections.abc import Sequence

from penstock_server.simulator.http.answers import Json
from penstock_server.simulator.prompts.tokens import Token, tokenize

_OTHERS = tokenize(" the a of to and in is that it as for with was on be by at are not this")
_ALL = 20


def chat_logprob(token: Token, alternatives: int, as_ids: bool) -> Json:
    """Returns the entry of one token with its most probable alternatives, itself first."""
    ranked = _ranked_with(token, alternatives)
    top = [_entry(other, rank, as_ids) for rank, other in enumerate(ranked)]
    if as_ids:
        # vLLM returns the bytes of the placeholder here, and those of the token itself above.
        for entry in top:
            entry["bytes"] = list(entry["token"].encode())
    return {**_entry(token, 0, as_ids), "top_logprobs": top}


def token_logprob(token: Token, alternatives: int) -> Json:
    """Returns the entry of one token in answers that name tokens by id, with their ranks."""
    shown = [_by_rank(other, rank) for rank, other in enumerate(_ranked_with(token, alternatives))]
    return {**_by_rank(token, 0), "top_logprobs": shown}


def prompt_logprobs(prompt: Sequence[Token], alternatives: int) -> list[Json]:
    """Returns an entry for each token of a prompt; the first has none."""
    return [None, *(_prompt_entry(token, alternatives) for token in prompt[1:])]


def _ranked_with(token: Token, alternatives: int) -> list[Token]:
    count = _ALL if alternatives < 0 else alternatives
    return [token, *(other for other in _OTHERS if other != token)][:count]


def _by_rank(token: Token, rank: int) -> dict[str, Json]:
    return {"token_id": token.id, "logprob": _logprob(token, rank), "rank": rank + 1}


def _entry(token: Token, rank: int, as_ids: bool) -> dict[str, Json]:
    return {
        "token": f"token_id:{token.id}" if as_ids else token.text,
        "logprob": _logprob(token, rank),
        "bytes": list(token.text.encode()),
    }


def _prompt_entry(token: Token, alternatives: int) -> Json:
    expected = token.id % 2 == 0
    shown = {str(token.id): _ranked(token, 1 if expected else 7)}
    others = [other for other in _OTHERS if other != token]
    first = 2 if expected else 1
    for rank, other in enumerate(others[: max(alternatives - first + 1, 0)], first):
        shown[str(other.id)] = _ranked(other, rank)
    return shown


def _ranked(token: Token, rank: int) -> Json:
    return {"logprob": _logprob(token, rank), "rank": rank, "decoded_token": token.text}


def _logprob(token: Token, rank: int) -> float:
    return -(zlib.crc32(token.text.encode()) % 997 + 1) / 100_000 - 2.5 * rank
