"""All upstreams together: which are well, what each serves, which one a call goes to."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from penstock_server.upstream.answer import JsonObject
from penstock_server.upstream.call import Call
from penstock_server.upstream.completeness import StreamContract
from penstock_server.upstream.failure import Kind, Stage, UpstreamFailure
from penstock_server.upstream.operations import NATIVE_RESPONSE, RESPONSE, Operation
from penstock_server.upstream.upstream import Body, Upstream

MODELS_PATH = "/v1/models"
_LISTING_TIMEOUT_S = 10.0


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
        self._native: bool | None = None
        self._asking = asyncio.Lock()

    def serves(self, operation: Operation) -> bool:
        """Whether a route of the operation exists, as far as is known."""
        if operation is NATIVE_RESPONSE and self.upstream.config.native_responses == "auto":
            return bool(self._native)
        return self.paths is None or not self.paths.isdisjoint(operation.routes)

    @property
    def model_ids(self) -> frozenset[str]:
        """The names under which its models can be asked for."""
        return frozenset(model["id"] for model in self.models)

    async def responds_natively(self, timeout_s: float) -> bool:
        """Whether responses are asked for by the upstream's own API; asks it once, if need be."""
        if self.upstream.config.native_responses != "auto":
            return self.upstream.config.native_responses == "always"
        async with self._asking:
            if self._native is None:
                self._native = await self.upstream.has_responses(_probe(), timeout_s)
        return bool(self._native)

    async def probe(self, timeout_s: float) -> None:
        """Asks the upstream how it is and what it serves."""
        call = _probe()
        was_healthy, self.healthy = self.healthy, await self.upstream.is_healthy(call, timeout_s)
        if not self.healthy:
            # What comes back may be another server.
            self._native = None if was_healthy else self._native
            return
        with contextlib.suppress(UpstreamFailure):
            self.models = await models_of(self.upstream, call, timeout_s)
        if not was_healthy:
            self.paths = await self._published_paths(call, timeout_s)

    async def _published_paths(self, call: Call, timeout_s: float) -> frozenset[str] | None:
        try:
            document = await self.upstream.get("/openapi.json", call, timeout_s)
        except UpstreamFailure:
            return None
        paths = document.get("paths")
        return frozenset(paths) if isinstance(paths, Mapping) else None


def _probe() -> Call:
    return Call(request_id=f"probe-{uuid4().hex}")


async def models_of(upstream: Upstream, call: Call, timeout_s: float) -> list[JsonObject]:
    """Returns the entries of an upstream's model list; each has an `id`.

    Raises:
        UpstreamFailure: the list could not be had in time or is malformed.
    """
    data = (await upstream.get(MODELS_PATH, call, timeout_s)).get("data")
    if not isinstance(data, list) or not all(map(_is_model, data)):
        message = "malformed upstream answer: a model list without models"
        raise UpstreamFailure(Kind.MALFORMED, message, Stage.BODY, upstream.name, MODELS_PATH)
    return data


def _is_model(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str)


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
        bases = _bases(entry for entry, _ in self.entries)
        if not model and len({weights for weights, _ in bases}) == 1:
            model = bases[0][1]
        for entry, paths in self.entries:
            if entry["id"] == model:
                return entry, paths
        if self.failure:
            raise self.failure
        names = tuple(entry["id"] for entry, _ in self.entries)
        raise _unknown_model(model, names) if model else _several_fit(names)


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

    async def call(self, operation: Operation, body: Body, call: Call) -> JsonObject:
        """Sends a unary request to an upstream that serves it; returns the answer.

        Raises:
            UpstreamFailure: no upstream fits, or the one chosen failed.
        """
        with self._suspicion(operation):
            return await self._pick(operation, call.model).upstream.call(operation, body, call)

    @contextlib.asynccontextmanager
    async def stream(
        self, operation: Operation, body: Body, call: Call, contract: StreamContract
    ) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """Opens a stream on an upstream that serves it; yields its events.

        Raises:
            UpstreamFailure: no upstream fits, or the one chosen failed.
        """
        with self._suspicion(operation):
            upstream = self._pick(operation, call.model).upstream
            async with upstream.stream(operation, body, call, contract) as events:
                yield events

    async def responds_natively(self, call: Call) -> bool:
        """Whether a response is asked for by an upstream's own Responses API.

        Raises:
            UpstreamFailure: no upstream fits.
        """
        if all(member.upstream.config.native_responses == "always" for member in self.members):
            return True
        return await self._pick(RESPONSE, call.model).responds_natively(self._probe_timeout_s)

    async def stored(self, method: str, path: str, call: Call) -> JsonObject:
        """Asks for a stored response, or for something to be done to it, wherever it is.

        Raises:
            UpstreamFailure: no upstream has it, or one that might have it failed.
        """
        failures: list[UpstreamFailure] = []
        for member in self._fitting(NATIVE_RESPONSE, call.model):
            try:
                with self._suspicion(NATIVE_RESPONSE):
                    return await member.upstream.stored(method, path, call)
            except UpstreamFailure as failure:
                failures.append(failure)
        raise min(failures, key=lambda failure: failure.status == 404)

    async def list_models(self, call: Call) -> ModelListing:
        """Asks every upstream for its models.

        Raises:
            UpstreamFailure: none could be asked.
        """
        lists = await asyncio.gather(
            *(models_of(m.upstream, call, _LISTING_TIMEOUT_S) for m in self.members),
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
                    entries.setdefault(model["id"], (model, member.paths))
        if len(failures) == len(self.members):
            raise failures[0]
        return ModelListing(
            [entries[name] for name in sorted(entries)],
            [failure.upstream for failure in failures],
            failures[0] if failures else None,
        )

    @contextlib.contextmanager
    def _suspicion(self, operation: Operation) -> Iterator[None]:
        try:
            yield
        except UpstreamFailure as failure:
            failure.operation = operation.name
            if failure.kind is Kind.CONNECT:
                self._suspect.set()
            raise

    def _pick(self, operation: Operation, model: str) -> Member:
        fitting = self._fitting(operation, model)
        well = [m for m in fitting if m.healthy] or fitting
        return min(well, key=lambda m: (m.upstream.outstanding, random.random()))

    def _fitting(self, operation: Operation, model: str) -> Sequence[Member]:
        if len(self.members) == 1:
            return self.members
        serving = [m for m in self.members if m.serves(operation)]
        fitting = [m for m in serving if not m.models or not model or model in m.model_ids]
        if not model:
            self._require_one_model(fitting)
        if not fitting:
            raise self._nothing_fits(operation, model)
        return fitting

    def _require_one_model(self, fitting: Sequence[Member]) -> None:
        bases = _bases(entry for member in fitting for entry in member.models)
        if len({weights for weights, _ in bases}) > 1:
            raise _several_fit(sorted({name for _, name in bases}))

    def _nothing_fits(self, operation: Operation, model: str) -> UpstreamFailure:
        names = _names(self.members)
        if model in names or not model:
            message = f"no upstream serves {operation.name} with {model or 'any model'}"
            return UpstreamFailure(Kind.ROUTE_MISSING, message, Stage.CONNECT, path=operation.path)
        return _unknown_model(model, names)


def _bases(entries: Iterable[JsonObject]) -> list[tuple[str, str]]:
    """Returns weights and name of the base models: one model may have several names."""
    return [
        (str(entry.get("root") or entry["id"]), entry["id"])
        for entry in entries
        if not entry.get("parent")
    ]


def _names(members: Iterable[Member]) -> tuple[str, ...]:
    return tuple(sorted({name for member in members for name in member.model_ids}))


def _unknown_model(model: str, names: Sequence[str]) -> UpstreamFailure:
    message = f"no upstream serves the model {model}; served are: {', '.join(names)}"
    return UpstreamFailure(Kind.MODEL_UNKNOWN, message, Stage.CONNECT)


def _several_fit(names: Sequence[str]) -> UpstreamFailure:
    message = f"name one of the models: {', '.join(names)}"
    return UpstreamFailure(Kind.MODEL_AMBIGUOUS, message, Stage.CONNECT)
