"""The models of all upstreams, as one list."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from penstock_server.fleet.model_names import bases, one_model_each
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.routing import several_fit, unknown_model
from penstock_server.upstream.answer import JsonObject
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure

Answered = tuple[Replica, Iterable[JsonObject] | UpstreamFailure]
"""A replica, with the entries of its models under their public names or why there are none."""


@dataclass(frozen=True, slots=True)
class ModelListing:
    """The models of all upstreams.

    Attributes:
        entries: one entry of a model list for each name, sorted by name, with the routes of
            its upstream.
        unreachable: names of upstreams that could not be asked.
        failure: why the first of them could not.
    """

    entries: Sequence[tuple[JsonObject, frozenset[str] | None]]
    unreachable: Sequence[str]
    failure: UpstreamFailure | None

    def find(self, model: str) -> tuple[JsonObject, frozenset[str] | None]:
        """Returns the entry of a model; without a name, of the only base model.

        Raises:
            UpstreamFailure: there is none, or several; or it may be on an upstream that could
                not be asked.
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


def listing(answers: Sequence[Answered]) -> ModelListing:
    """Returns the list that the answers of all replicas make.

    Raises:
        UpstreamFailure: none could be asked.
    """
    entries: dict[str, tuple[JsonObject, frozenset[str] | None]] = {}
    failures: dict[str, UpstreamFailure] = {}
    reached: set[str] = set()
    for replica, answer in answers:
        if isinstance(answer, UpstreamFailure):
            failures.setdefault(replica.upstream.name, answer)
            continue
        reached.add(replica.upstream.name)
        for entry in answer:
            entries.setdefault(entry["id"], (entry, replica.known.paths))
    unreachable = [name for name in failures if name not in reached]
    if unreachable and not reached:
        raise failures[unreachable[0]]
    return ModelListing(
        [entries[name] for name in sorted(entries)],
        unreachable,
        failures[unreachable[0]] if unreachable else None,
    )
