"""The models of all upstreams, as one list."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from penstock_server.fleet.model_list import models_of
from penstock_server.fleet.model_names import bases, one_model_each, published, renamed
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.routing import several_fit, unknown_model
from penstock_server.upstream import Call, JsonObject, Kind, Stage, UpstreamFailure


class _Answered(NamedTuple):
    """The models of one replica.

    Attributes:
        replica: the replica.
        entries: the entries of its models under their public names, current or as known before.
        failure: why the entries are not current; None if they are.
    """

    replica: Replica
    entries: Sequence[JsonObject]
    failure: UpstreamFailure | None = None


@dataclass(frozen=True, slots=True)
class ModelListing:
    """The models of all upstreams.

    Attributes:
        entries: one entry of a model list for each name, sorted by name, with the routes of
            its upstream.
        unreachable: the names of upstreams that did not answer, with the entries of their last
            answers.
        failure: why the first of them did not.
        asleep: the names of the models that only engines have that are asleep.
    """

    entries: Sequence[tuple[JsonObject, frozenset[str] | None]]
    unreachable: Sequence[str]
    failure: UpstreamFailure | None
    asleep: Collection[str] = frozenset()

    def find(self, model: str) -> tuple[JsonObject, frozenset[str] | None]:
        """Returns the entry of a model; without a name, of the only base model.

        Raises:
            UpstreamFailure: there is none, or several; or it may be on an upstream that did not
                answer.
        """
        by_name = {entry["id"]: (entry, paths) for entry, paths in self.entries}
        known = bases({name: entry for name, (entry, _) in by_name.items()})
        if not model and len(one_model_each(known)) == 1:
            model = known[0][1]
        if model in by_name:
            return by_name[model]
        if self.failure:
            raise self.failure
        if not by_name:
            message = "there is no model that the caller may use"
            raise UpstreamFailure(Kind.MODEL_UNKNOWN, message, Stage.CONNECT)
        raise unknown_model(model, by_name) if model else several_fit(list(by_name))


async def list_models(replicas: Sequence[Replica], call: Call, timeout_s: float) -> ModelListing:
    """Requests the models of all replicas that are up; adds what is known about the others.

    If all are down, requests the models of all.

    Raises:
        UpstreamFailure: none answered, and nothing is known of any.
    """
    all_down = all(replica.known.down for replica in replicas)
    asked = [replica for replica in replicas if all_down or not replica.known.down]
    passed_over = [
        _remembered(replica, call, replace(replica.known.down))
        for replica in replicas
        if replica.known.down and not all_down
    ]
    answered = await asyncio.gather(*(_ask(replica, call, timeout_s) for replica in asked))
    return _listing([*answered, *passed_over])


async def _ask(replica: Replica, call: Call, timeout_s: float) -> _Answered:
    try:
        entries, _ = await models_of(replica.upstream, call, timeout_s)
    except UpstreamFailure as failure:
        return _remembered(replica, call, failure)
    return _Answered(replica, [*renamed(published(entries, replica.upstream.config.models))])


def _remembered(replica: Replica, call: Call, failure: UpstreamFailure) -> _Answered:
    # A caller with its own credentials may see only the models that the upstream lists for these.
    known = replica.known.models if call.authorization is None else None
    return _Answered(replica, [*renamed(known or {})], failure)


def _listing(answers: Sequence[_Answered]) -> ModelListing:
    entries: dict[str, tuple[JsonObject, frozenset[str] | None]] = {}
    failures: dict[str, UpstreamFailure] = {}
    reached: set[str] = set()
    # Current entries take precedence over earlier ones.
    for replica, found, failure in sorted(answers, key=lambda one: one.failure is not None):
        if failure:
            failures.setdefault(replica.upstream.name, failure)
        else:
            reached.add(replica.upstream.name)
        for entry in found:
            entries.setdefault(entry["id"], (entry, replica.known.paths))
    unreachable = [name for name in failures if name not in reached]
    if unreachable and not reached and not entries:
        raise failures[unreachable[0]]
    return ModelListing(
        [entries[name] for name in sorted(entries)],
        unreachable,
        failures[unreachable[0]] if unreachable else None,
        _names(answers, asleep=True) - _names(answers, asleep=False),
    )


def _names(answers: Iterable[_Answered], *, asleep: bool) -> set[str]:
    """Returns the names of the models of replicas that answered and are asleep, or are not."""
    return {
        entry["id"]
        for replica, found, failure in answers
        if failure is None and replica.known.asleep is asleep
        for entry in found
    }
