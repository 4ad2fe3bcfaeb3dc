"""Faults in the result list of rerank and score answers."""

from collections.abc import Callable

from penstock_server.simulator.faults.table import FaultError, fault
from penstock_server.simulator.http.answers import Answer, Json

_SCORES = ("relevance_score", "score")


@fault
def bad_results(answer: Answer, how: str = "missing") -> None:
    """Makes the results invalid in a given way, or renames the score.

    The ways are missing, no-list, no-object, no-index, word-index, outside, twice, short, no-score,
    null-score, word-score; `renamed` uses the other name of the score.
    """
    if how not in _SPOILERS:
        raise FaultError(f"unknown way {how!r}; valid ways: {', '.join(_SPOILERS)}")

    def edit(data: Json) -> Json:
        if isinstance(data, dict):
            name = "results" if "results" in data else "data"
            if isinstance(data.get(name), list):
                _SPOILERS[how](data, name)
        return data

    answer.edit(edit)


def _set(data: dict[str, Json], name: str, key: str, value: Json) -> None:
    data[name][-1][key] = value


def _set_score(data: dict[str, Json], name: str, value: Json) -> None:
    for key in _SCORES:
        if key in data[name][-1]:
            data[name][-1][key] = value


def _drop_score(data: dict[str, Json], name: str) -> None:
    for key in _SCORES:
        data[name][-1].pop(key, None)


def _rename(data: dict[str, Json], name: str) -> None:
    for result in data[name]:
        result["score"] = result.pop("relevance_score", result.get("score"))


_SPOILERS: dict[str, Callable[[dict[str, Json], str], object]] = {
    "missing": lambda data, name: data.pop(name),
    "no-list": lambda data, name: data.update({name: {"0": data[name][0]}}),
    "no-object": lambda data, name: data[name].append("one more"),
    "no-index": lambda data, name: data[name][-1].pop("index"),
    "word-index": lambda data, name: _set(data, name, "index", "0"),
    "outside": lambda data, name: _set(data, name, "index", 99),
    "twice": lambda data, name: _set(data, name, "index", data[name][0]["index"]),
    "short": lambda data, name: data[name].pop(),
    "no-score": _drop_score,
    "null-score": lambda data, name: _set_score(data, name, None),
    "word-score": lambda data, name: _set_score(data, name, "high"),
    "renamed": _rename,
}
