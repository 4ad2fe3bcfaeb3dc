"""Routing: which replicas can serve a call, by its model and its operation."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple, TypeAlias

from penstock_server.fleet.model_names import bases, one_model_each
from penstock_server.fleet.replica import Replica
from penstock_server.upstream import (
    NATIVE_RESPONSE,
    RESPONSE,
    Call,
    JsonObject,
    Kind,
    Operation,
    Stage,
    UpstreamFailure,
    any_model,
)

_MOST_NAMED = 5
_LONGEST_COMPARED = 256

MayUse = Callable[[str], bool]


class Target(NamedTuple):
    """The model to request from a replica.

    Attributes:
        public: the model's public name; empty to name none.
        served: the replica's own name for it.
    """

    public: str
    served: str


Routes: TypeAlias = Mapping[Replica, Target]

_UNNAMED = Target("", "")


class RoutingTable:
    """The routes of calls, valid as long as nothing about the replicas changes.

    Results are kept, so a call costs no more than the replicas of its model.

    Attributes:
        unprobed: the replicas that have not been probed; any model may be on one of these.
    """

    def __init__(
        self,
        replicas: Sequence[Replica],
        aliases: Mapping[str, str],
        default_model: str,
        *,
        open_to_all: bool,
    ) -> None:
        """Creates the table.

        Args:
            replicas: all replicas.
            aliases: other names of models, each with the public name.
            default_model: the public name of the model for calls that name none; may be empty.
            open_to_all: whether unknown models are requested from the replicas, too.
        """
        self._replicas = replicas
        self._aliases = aliases
        self._default_model = default_model
        self._open_to_all = open_to_all
        self._names = {name for replica in replicas for name in _models(replica)}
        self._public_names = {name: self._public(name) for name in (*aliases, *self._names)}
        self._kept: dict[tuple[Operation, str], Routes] = {}
        self.unprobed = [replica for replica in replicas if replica.known.alive is None]

    def knows(self, operation: Operation, call: Call) -> bool:
        """Returns whether a replica is known to have the model; without a name, the default."""
        # Without a name, permission cannot be checked until the models are known.
        needs_models = not call.model and call.may_use is not any_model
        passes_unknown = self._open_to_all and not needs_models
        return passes_unknown or bool(self._listed(operation, call.model or self._default_model))

    def public_model(self, call: Call) -> str:
        """Returns the public name of the model that a call names; else of the default, if any.

        Raises:
            UpstreamFailure: the caller may not use the default (MODEL_FORBIDDEN).
        """
        if call.model:
            return self._public(call.model)
        default = self._public(self._default_model)
        if default not in self._names:
            return ""
        if not call.may_use(self._default_model):
            raise _forbidden()
        return default

    def listed(self, name: str) -> str:
        """Returns the public name of a model that an upstream lists; empty for other names."""
        public = self._public_names.get(name, "")
        return public if public in self._names else ""

    def find(self, operation: Operation, call: Call) -> Routes:
        """Returns the replicas that can serve a call, and the model to request from each.

        Raises:
            UpstreamFailure: there are none (MODEL_UNKNOWN, ROUTE_MISSING); or the call names no
                model, and several fit (MODEL_AMBIGUOUS), the caller may not use the only one
                (MODEL_FORBIDDEN), or no models are known yet (CONNECT).
        """
        if call.model:
            kept = self._kept.get((operation, call.model))
            return kept or self._named(operation, call.model, call.may_use)
        if call.may_use is not any_model:
            return self._unnamed(operation, call.may_use)
        key = (operation, "")
        if key not in self._kept:
            self._kept[key] = self._unnamed(operation, call.may_use)
        return self._kept[key]

    def everywhere(self, operation: Operation, call: Call) -> Routes:
        """Returns the replicas that `find` returns, and those that may have the model, too.

        Raises:
            UpstreamFailure: as for `find`.
        """
        return {**self._possible(operation, call.model), **self.find(operation, call)}

    def storing(self, call: Call) -> Routes:
        """Returns the replicas that may have stored a response, those that can store one first.

        Raises:
            UpstreamFailure: as for `find`.
        """
        found: dict[Replica, Target] = {}
        for operation in (NATIVE_RESPONSE, RESPONSE):
            try:
                routes = self.everywhere(operation, call)
            except UpstreamFailure as failure:
                refusal = failure
            else:
                found |= {one: routes[one] for one in routes if one.may_store}
        if not found:
            raise refusal
        return found

    def missing(self, call: Call) -> str:
        """Returns the message for a call's model that an upstream reports as missing.

        The upstream's own message may name models that the caller must not see.
        """
        if not call.model or self._public(call.model) in self._names:
            named = f" {call.model}" if call.model else ""
            return f"the upstream does not have the model{named}"
        return unknown_model(call.model, self._usable(call.may_use)).message

    def can_replace(self, replica: Replica) -> bool:
        """Returns whether other replicas can serve all models of a replica."""
        return _serve_all(self._available(replica), replica)

    def can_outperform(self, replica: Replica) -> bool:
        """Returns whether others can serve all models of a replica, and fail much less often."""
        others = self._available(replica)
        better = (one for one in others if one.ejection.outperforms(replica.ejection))
        return _serve_all(better, replica)

    def _available(self, replica: Replica) -> Iterable[Replica]:
        return (other for other in self._replicas if other is not replica and other.available)

    def _named(self, operation: Operation, model: str, may_use: MayUse) -> Routes:
        routes = self._listed(operation, model) or self._possible(operation, model)
        if not routes:
            raise self._nothing_fits(operation, model, may_use)
        return routes

    def _listed(self, operation: Operation, model: str) -> Routes:
        """Returns the replicas that have the model."""
        key = (operation, model)
        if key in self._kept:
            return self._kept[key]
        public = self._public(model)
        routes = {
            replica: Target(public, models[public]["id"])
            for replica in self._serving(operation)
            if public in (models := _models(replica))
        }
        if routes:
            self._kept[key] = routes
        return routes

    def _possible(self, operation: Operation, model: str) -> Routes:
        """Returns the replicas that may have the model."""
        public = self._public(model)
        routes = {
            replica: Target(public, replica.upstream.config.models.get(public, public))
            for replica in self._serving(operation)
            if replica.known.models is None and _allowed(replica, public)
        }
        if routes or not self._open_to_all:
            return routes
        return dict.fromkeys(self._replicas, Target(public, public))

    def _unnamed(self, operation: Operation, may_use: MayUse) -> Routes:
        if routes := self._default(operation, may_use):
            return routes
        models = self._base_models(operation, may_use)
        if len(models) == 1:
            return models[0]
        if self._open_to_all and may_use is any_model:
            return dict.fromkeys(self._replicas, _UNNAMED)
        if models:
            names = {target.public for routes in models for target in routes.values()}
            raise several_fit(sorted(names))
        return self._free_to_choose(operation, may_use)

    def _free_to_choose(self, operation: Operation, may_use: MayUse) -> Routes:
        """Returns the replicas that may choose a model themselves, for a call that names none."""
        serving = self._serving(operation)
        known = all(replica.known.models is not None for replica in serving)
        if may_use is not any_model:
            raise _forbidden() if known else _not_known_yet()
        # A replica configured for certain models might choose another one.
        free = [replica for replica in serving if not replica.upstream.config.models]
        if not free:
            raise self._nothing_fits(operation, "", may_use) if known else _not_known_yet()
        return dict.fromkeys(free, _UNNAMED)

    def _default(self, operation: Operation, may_use: MayUse) -> Routes | None:
        model = self._default_model
        if not model or not (self._listed(operation, model) or self._possible(operation, model)):
            return None
        if not may_use(model):
            raise _forbidden()
        return self._named(operation, model, may_use)

    def _base_models(self, operation: Operation, may_use: MayUse) -> Sequence[Routes]:
        """Returns the routes to each base model."""
        named = {
            replica: [(weights, name) for weights, name in bases(_models(replica)) if may_use(name)]
            for replica in self._serving(operation)
        }
        models = one_model_each(pair for pairs in named.values() for pair in pairs)
        return [self._having(names, named) for names in models]

    def _having(
        self, names: Collection[str], named: Mapping[Replica, Sequence[tuple[str, str]]]
    ) -> Routes:
        """Returns the replicas that have a model with any of the names."""
        routes: dict[Replica, Target] = {}
        for replica, pairs in named.items():
            if public := next((name for _, name in pairs if name in names), ""):
                routes[replica] = Target(public, _models(replica)[public]["id"])
        return routes

    def _serving(self, operation: Operation) -> list[Replica]:
        return [replica for replica in self._replicas if replica.serves(operation)]

    def _public(self, model: str) -> str:
        return model if model in self._names else self._aliases.get(model, model)

    def _nothing_fits(self, operation: Operation, model: str, may_use: MayUse) -> UpstreamFailure:
        if not model or self._public(model) in self._names:
            message = (
                f"no upstream serves {operation.name} with {model or 'any model'}{operation.hint}"
            )
            return UpstreamFailure(Kind.ROUTE_MISSING, message, Stage.CONNECT, path=operation.path)
        return unknown_model(model, self._usable(may_use))

    def _usable(self, may_use: MayUse) -> Iterable[str]:
        return filter(may_use, (*self._names, *self._aliases))


def unknown_model(model: str, known: Iterable[str]) -> UpstreamFailure:
    """Returns the failure for an unknown model; it names all known models, or similar ones."""
    names = sorted(set(known))
    message = f"no upstream serves the model {model}"
    if len(names) <= _MOST_NAMED:
        message += f"; served are: {', '.join(names)}"
    elif close := get_close_matches(model[:_LONGEST_COMPARED], names, _MOST_NAMED):
        message += f"; similar names are: {', '.join(close)}"
    else:
        message += f"; none of the {len(names)} names is similar"
    return UpstreamFailure(Kind.MODEL_UNKNOWN, message, Stage.CONNECT)


def several_fit(names: Sequence[str]) -> UpstreamFailure:
    """Returns the failure for a call that names no model although several fit."""
    named = ", ".join(names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    message = f"name one of the models: {named}{more}"
    return UpstreamFailure(Kind.MODEL_AMBIGUOUS, message, Stage.CONNECT)


def _not_known_yet() -> UpstreamFailure:
    message = "no upstream could be asked for its models; name a model in the request"
    return UpstreamFailure(Kind.CONNECT, message, Stage.CONNECT)


def _forbidden() -> UpstreamFailure:
    message = "the request names no model, and the caller may not use the default"
    return UpstreamFailure(Kind.MODEL_FORBIDDEN, message, Stage.CONNECT)


def _models(replica: Replica) -> Mapping[str, JsonObject]:
    return replica.known.models or {}


def _serve_all(available: Iterable[Replica], replica: Replica) -> bool:
    """Returns whether others, of which there is at least one, can serve all models of a replica."""
    others, models = list(available), _models(replica)
    return bool(others) and all(
        any(name in (other.known.models or models) for other in others) for name in models
    )


def _allowed(replica: Replica, public: str) -> bool:
    return not replica.upstream.config.models or public in replica.upstream.config.models
