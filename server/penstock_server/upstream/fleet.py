"""All upstreams together: which are well, what each serves, which one a call goes to."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from penstock_server.upstream.answer import JsonObject
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.headers import Call
from penstock_server.upstream.operations import Operation
from penstock_server.upstream.upstream import Upstream

MODELS_PATH = "/v1/models"


class Member:
    """One upstream and what its last probe found.

    Attributes:
        upstream: the upstream.
        healthy: whether its last probe succeeded; False before the first.
        models: the entries of its model list.
        paths: the routes it serves; None when it does not publish them.
    """

    def __init__(self, upstream: Upstream) -> None:
        """Takes the upstream; nothing is known about it yet."""
        self.upstream = upstream
        self.healthy = False
        self.models: list[JsonObject] = []
        self.paths: frozenset[str] | None = None

    def serves(self, operation: Operation) -> bool:
        """Whether the operation's route exists, as far as is known."""
        return self.paths is None or operation.path in self.paths

    @property
    def model_ids(self) -> frozenset[str]:
        """The names under which its models can be asked for."""
        return frozenset(str(model.get("id")) for model in self.models)

    async def probe(self, timeout_s: float) -> None:
        """Asks the upstream how it is and what it serves."""
        call = Call(request_id=f"probe-{uuid4().hex}")
        was_healthy, self.healthy = self.healthy, await self.upstream.is_healthy(call, timeout_s)
        if not self.healthy:
            return
        with contextlib.suppress(UpstreamFailure):
            self.models = await models_of(self.upstream, call)
        if not was_healthy:
            self.paths = await self._published_paths(call)

    async def _published_paths(self, call: Call) -> frozenset[str] | None:
        try:
            document = await self.upstream.get("/openapi.json", call)
        except UpstreamFailure:
            return None
        paths = document.get("paths")
        return frozenset(paths) if isinstance(paths, Mapping) else None


async def models_of(upstream: Upstream, call: Call) -> list[JsonObject]:
    """Returns the entries of an upstream's model list.

    Raises:
        UpstreamFailure: the list could not be had or is malformed.
    """
    data = (await upstream.get(MODELS_PATH, call)).get("data")
    if not isinstance(data, list) or not all(isinstance(model, dict) for model in data):
        message = "malformed upstream answer: a model list without models"
        raise UpstreamFailure(Kind.MALFORMED, message, Stage.BODY, upstream.name, MODELS_PATH)
    return data


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
        found = [
            e for e in self.entries if (e[0]["id"] == model if model else not e[0].get("parent"))
        ]
        if len(found) == 1:
            return found[0]
        if self.failure:
            raise self.failure
        names = tuple(entry["id"] for entry, _ in self.entries)
        raise _several_fit(names) if found else _unknown_model(model, names)


class Fleet:
    """The upstreams behind one service."""

    def __init__(
        self, upstreams: Sequence[Upstream], probe_interval_s: float, probe_timeout_s: float
    ) -> None:
        """Takes the upstreams, how often to probe each, and how long a probe may take."""
        self.members = [Member(upstream) for upstream in upstreams]
        self._probe_interval_s = probe_interval_s
        self._probe_timeout_s = probe_timeout_s
        self._suspect = asyncio.Event()

    async def close(self) -> None:
        """Closes the connections to all upstreams."""
        for member in self.members:
            await member.upstream.close()

    async def watch(self, changed: Callable[[], None]) -> None:
        """Probes all upstreams for ever; tells after each round, and at once when one fails."""
        while True:
            self._suspect.clear()
            async with asyncio.TaskGroup() as probes:
                for member in self.members:
                    probes.create_task(member.probe(self._probe_timeout_s))
            changed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._probe_interval_s):
                    await self._suspect.wait()

    def healthy(self, operation: Operation | None = None) -> bool:
        """Whether any upstream is well and, if an operation is named, serves it."""
        return any(
            member.healthy and (operation is None or member.serves(operation))
            for member in self.members
        )

    async def call(self, operation: Operation, body: Mapping[str, Any], call: Call) -> JsonObject:
        """Sends a unary request to an upstream that serves it; returns the answer.

        Raises:
            UpstreamFailure: no upstream fits, or the one chosen failed.
        """
        with self._suspicion():
            return await self._pick(operation, call.model).call(operation, body, call)

    @contextlib.asynccontextmanager
    async def stream(
        self, operation: Operation, body: Mapping[str, Any], call: Call, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """Opens a stream on an upstream that serves it; yields its events.

        Raises:
            UpstreamFailure: no upstream fits, or the one chosen failed.
        """
        with self._suspicion():
            upstream = self._pick(operation, call.model)
            async with upstream.stream(operation, body, call, contract) as events:
                yield events

    async def list_models(self, call: Call) -> ModelListing:
        """Asks every upstream for its models.

        Raises:
            UpstreamFailure: none could be asked.
        """
        lists = await asyncio.gather(
            *(models_of(member.upstream, call) for member in self.members),
            return_exceptions=True,
        )
        entries: dict[str, tuple[JsonObject, frozenset[str] | None]] = {}
        failures: list[UpstreamFailure] = []
        for member, answer in zip(self.members, lists, strict=True):
            if isinstance(answer, UpstreamFailure):
                failures.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                for model in answer:
                    entries.setdefault(str(model.get("id")), (model, member.paths))
        if len(failures) == len(self.members):
            raise failures[0]
        return ModelListing(
            [entries[name] for name in sorted(entries)],
            [failure.upstream for failure in failures],
            failures[0] if failures else None,
        )

    @contextlib.contextmanager
    def _suspicion(self) -> Iterator[None]:
        try:
            yield
        except UpstreamFailure as failure:
            if failure.kind is Kind.CONNECT:
                self._suspect.set()
            raise

    def _pick(self, operation: Operation, model: str) -> Upstream:
        if len(self.members) == 1:
            return self.members[0].upstream
        serving = [m for m in self.members if m.serves(operation)]
        fitting = [m for m in serving if not m.models or not model or model in m.model_ids]
        if not model:
            self._require_one_model(fitting)
        if not fitting:
            raise self._nothing_fits(operation, model)
        well = [m for m in fitting if m.healthy] or fitting
        return min(well, key=lambda m: (m.upstream.outstanding, random.random())).upstream

    def _require_one_model(self, fitting: Sequence[Member]) -> None:
        names = _names(fitting)
        if len(names) > 1:
            raise _several_fit(names)

    def _nothing_fits(self, operation: Operation, model: str) -> UpstreamFailure:
        names = _names(self.members)
        if model in names:
            message = f"the model {model} does not serve {operation.name}"
            return UpstreamFailure(Kind.ROUTE_MISSING, message, Stage.CONNECT, path=operation.path)
        return _unknown_model(model, names)


def _names(members: Iterable[Member]) -> tuple[str, ...]:
    return tuple(sorted({name for member in members for name in member.model_ids}))


def _unknown_model(model: str, names: Sequence[str]) -> UpstreamFailure:
    message = f"no upstream serves the model {model}; served are: {', '.join(names)}"
    return UpstreamFailure(Kind.MODEL_UNKNOWN, message, Stage.CONNECT)


def _several_fit(names: Sequence[str]) -> UpstreamFailure:
    message = f"name one of the models: {', '.join(names)}"
    return UpstreamFailure(Kind.MODEL_AMBIGUOUS, message, Stage.CONNECT)
