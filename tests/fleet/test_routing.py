"""The replicas that can serve a call, and the name of the model on each."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from steps import steps

from penstock_server.fleet import Policy, renaming
from penstock_server.fleet.changes import ChangeSignal
from penstock_server.fleet.kept_adapters import KeptAdapters
from penstock_server.fleet.listing import ModelListing
from penstock_server.fleet.model_names import renamed
from penstock_server.fleet.replica import Replica
from penstock_server.fleet.routing import RoutingTable, Target
from penstock_server.upstream.call import Call, any_model
from penstock_server.upstream.config import UpstreamConfig
from penstock_server.upstream.failure import Kind, UpstreamFailure
from penstock_server.upstream.multipart import File, Form
from penstock_server.upstream.operations import (
    CHAT_COMPLETION,
    EMBEDDING,
    GENERATION,
    Operation,
)

from .clock import Clock

LLAMA = {"id": "meta/llama", "root": "meta/llama", "parent": None}
ALIAS = {"id": "llama-alias", "root": "meta/llama", "parent": None}
LORA = {"id": "llama-sql", "root": "/adapters/sql", "parent": "meta/llama"}
OTHER = {"id": "qwen", "root": "qwen", "parent": None}


def replica(
    *entries: Mapping[str, Any],
    routes: frozenset[str] | None = frozenset({CHAT_COMPLETION.path}),
    **config: Any,
) -> Replica:
    """Returns a replica with a model list; without entries, the replica has not answered yet."""
    made = Replica(
        UpstreamConfig("http://127.0.0.1:1", **config),
        "",
        Policy(),
        Clock(),
        ChangeSignal(),
        KeptAdapters(),
    )
    if entries:
        made.record_models([dict(entry) for entry in entries])
        made.record_routes(routes, version="")
    return made


def table(*replicas: Replica, open_to_all: bool = False, **given: Any) -> RoutingTable:
    known = {"aliases": {}, "default_model": ""} | given
    return RoutingTable(replicas, **known, open_to_all=open_to_all)


def targets(
    known: RoutingTable,
    model: str = "",
    operation: Operation = CHAT_COMPLETION,
    may_use: Callable[[str], bool] = any_model,
) -> list[Target]:
    return list(known.find(operation, Call("id", model, may_use=may_use)).values())


def refusal(*given: Any, **known: Any) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as raised:
        targets(*given, **known)
    return raised.value


def test_every_replica_of_the_model() -> None:
    one, other, third = replica(LLAMA), replica(OTHER), replica(LLAMA, OTHER)
    found = table(one, other, third).find(CHAT_COMPLETION, Call("id", "meta/llama"))
    assert list(found) == [one, third]


def test_each_upstream_may_have_its_own_names() -> None:
    names = {"llama": "meta/llama"}
    known = table(replica(LLAMA, OTHER, models=names), replica({**LLAMA, "id": "llama"}))
    assert targets(known, "llama") == [("llama", "meta/llama"), ("llama", "llama")]
    assert refusal(known, "qwen").kind is Kind.MODEL_UNKNOWN  # not among the allowed names
    assert refusal(known, "meta/llama").kind is Kind.MODEL_UNKNOWN


def test_a_configured_model_that_its_upstream_lacks() -> None:
    known = table(replica(OTHER, models={"llama": "meta/llama", "q": "qwen"}), replica(LORA))
    assert refusal(known, "llama").kind is Kind.MODEL_UNKNOWN
    assert targets(known, "q") == [("q", "qwen")]


@pytest.mark.parametrize("served", ["meta/llama", "llama-alias"])
def test_adapters_come_with_their_base(served: str) -> None:
    known = table(replica(LLAMA, ALIAS, LORA, OTHER, models={"llama": served}), replica(OTHER))
    assert targets(known, "llama-sql") == [("llama-sql", "llama-sql")]
    assert targets(known, "llama") == [("llama", served)]


def test_the_list_shows_public_names() -> None:
    known = replica(LLAMA, LORA, models={"llama": "meta/llama"}).known.models
    assert known
    shown = {entry["id"]: entry["parent"] for entry in renamed(known)}
    assert shown == {"llama": None, "llama-sql": "llama"}


@pytest.mark.parametrize(
    ("names", "parents"),
    [
        # vLLM reports the first name of the base model as an adapter's parent.
        ({"llama": "llama-alias"}, {"llama": None, "llama-sql": "llama"}),
        ({"sql": "llama-sql"}, {"sql": None}),
        ({"sql": "llama-sql", "llama": "meta/llama"}, {"sql": "llama", "llama": None}),
    ],
)
def test_parents_have_public_names(names: Mapping[str, str], parents: Mapping[str, Any]) -> None:
    known = replica(LLAMA, ALIAS, LORA, models=names)
    shown = {entry["id"]: entry["parent"] for entry in renamed(known.known.models or {})}
    assert shown.items() >= parents.items()
    [base] = (name for name, parent in parents.items() if not parent)
    assert targets(table(known)) == [(base, names[base])]


def test_a_model_that_an_upstream_does_not_have() -> None:
    known = table(replica(LLAMA, OTHER), open_to_all=True)
    text = known.missing(Call("id", "qwin", may_use=lambda name: name != "meta/llama"))
    assert text == "no upstream serves the model qwin; served are: qwen"
    assert known.missing(Call("id", "qwen")) == "the upstream does not have the model qwen"
    assert known.missing(Call("id")) == "the upstream does not have the model"


def test_aliases() -> None:
    known = table(
        replica(LLAMA, models={"llama": "meta/llama"}),
        replica(OTHER),
        aliases={"fast": "llama", "qwen": "llama", "gone": "nowhere"},
    )
    assert targets(known, "fast") == [("llama", "meta/llama")]
    assert targets(known, "qwen") == [("qwen", "qwen")]  # a model of that name comes first
    assert refusal(known, "gone").kind is Kind.MODEL_UNKNOWN


def test_the_default_model() -> None:
    chat, embeds = replica(LLAMA, OTHER), replica(LORA, routes=frozenset({EMBEDDING.path}))
    known = table(chat, embeds, default_model="qwen")
    assert targets(known) == [("qwen", "qwen")]
    assert targets(known, operation=EMBEDDING) == [("", "")]  # qwen does not embed
    assert refusal(table(chat, embeds)).kind is Kind.MODEL_AMBIGUOUS


def test_the_model_that_a_call_refers_to() -> None:
    given: dict[str, Any] = {"aliases": {"fast": "llama"}, "default_model": "fast"}
    known = table(replica(LLAMA, models={"llama": "meta/llama"}), replica(OTHER), **given)
    assert known.public_model(Call("id", "fast")) == "llama"
    assert known.public_model(Call("id", "nobody")) == "nobody"
    assert known.public_model(Call("id")) == "llama"
    assert table(replica(OTHER), **given).public_model(Call("id")) == ""
    assert table(replica(OTHER)).public_model(Call("id", may_use=lambda name: False)) == ""
    with pytest.raises(UpstreamFailure) as raised:
        known.public_model(Call("id", may_use=lambda name: name == "qwen"))
    assert raised.value.kind is Kind.MODEL_FORBIDDEN


def test_the_only_base_model_is_the_default() -> None:
    known = table(replica(LLAMA, ALIAS, LORA), replica(ALIAS), replica())
    assert targets(known) == [("meta/llama", "meta/llama"), ("llama-alias", "llama-alias")]


def test_replicas_may_have_a_model_under_different_paths() -> None:
    here, there = {**ALIAS, "root": "/data/llama"}, {**ALIAS, "root": "/mnt/llama"}
    assert targets(table(replica(here), replica(there))) == [("llama-alias", "llama-alias")] * 2
    names = {"llama": "meta/llama"}, {"llama": "qwen"}
    renamed = table(replica(LLAMA, models=names[0]), replica(OTHER, models=names[1]))
    assert targets(renamed) == [("llama", "meta/llama"), ("llama", "qwen")]
    chained = table(replica(here), replica(there, {**OTHER, "root": "/mnt/llama"}), replica(OTHER))
    assert len(targets(chained)) == 3
    assert refusal(table(replica(here), replica(OTHER))).kind is Kind.MODEL_AMBIGUOUS


def test_operations_may_be_on_different_servers() -> None:
    known = table(replica(LLAMA), replica(OTHER, routes=frozenset({EMBEDDING.path})))
    assert targets(known, "qwen", EMBEDDING) == [("qwen", "qwen")]
    assert refusal(known, "qwen").kind is Kind.ROUTE_MISSING
    assert targets(known, operation=EMBEDDING) == [("qwen", "qwen")]


def test_an_upstream_with_configured_models_does_not_choose_one_itself() -> None:
    lacking = replica(OTHER, models={"llama": "meta/llama"})
    assert refusal(table(lacking)).kind is Kind.ROUTE_MISSING
    unheard = replica(models={"llama": "meta/llama"})
    assert refusal(table(unheard)).kind is Kind.CONNECT
    free = replica()
    found = table(lacking, unheard, free).find(CHAT_COMPLETION, Call("id"))
    assert found == {free: ("", "")}


def test_the_error_lists_similar_names_only() -> None:
    entries = [{"id": f"model-{number:03}"} for number in range(500)]
    known = table(replica(*entries), replica(LLAMA), aliases={"lama": "meta/llama"})
    failure = refusal(known, "model-0077")
    assert failure.kind is Kind.MODEL_UNKNOWN
    assert "model-077" in failure.message
    assert failure.message.count("model-") <= 6
    assert "lama" in refusal(known, "llama").message
    assert "none of the 502 names" in refusal(known, "???").message
    assert (
        "model"
        not in refusal(known, "model-0077", may_use=lambda name: name == "m").message[
            len("no upstream serves the model model-0077") :
        ]
    )


def test_the_default_is_a_model_that_the_caller_may_use() -> None:
    known = table(replica(LLAMA, ALIAS), replica(OTHER))
    assert targets(known, may_use=lambda name: name == "qwen") == [("qwen", "qwen")]
    assert targets(known, may_use=lambda name: "llama-" in name) == [("llama-alias",) * 2]
    assert refusal(known, may_use=lambda name: False).kind is Kind.MODEL_FORBIDDEN
    default = table(replica(LLAMA), replica(OTHER), default_model="qwen")
    assert refusal(default, may_use=lambda name: name != "qwen").kind is Kind.MODEL_FORBIDDEN


def test_the_only_upstream_accepts_any_model_of_unrestricted_callers() -> None:
    known = table(replica(LLAMA, ALIAS, OTHER), open_to_all=True)
    assert targets(known) == [("", "")]
    assert targets(known, "new") == [("new", "new")]
    assert targets(known, may_use=lambda name: name == "qwen") == [("qwen", "qwen")]
    assert refusal(known, may_use=lambda name: False).kind is Kind.MODEL_FORBIDDEN


def test_the_only_upstream_receives_the_name_of_its_only_model() -> None:
    known = table(replica(LLAMA, ALIAS), open_to_all=True)
    assert targets(known) == [("meta/llama", "meta/llama")]
    assert targets(table(replica(), open_to_all=True)) == [("", "")]


def test_a_replica_that_has_not_answered_may_have_the_model() -> None:
    unheard, other = replica(), replica(OTHER)
    known = table(unheard, other, replica(models={"llama": "meta/llama"}))
    assert list(known.find(CHAT_COMPLETION, Call("id", "new"))) == [unheard]
    assert targets(known, "llama") == [("llama", "llama"), ("llama", "meta/llama")]
    assert list(known.find(CHAT_COMPLETION, Call("id", "qwen"))) == [other]
    assert list(known.everywhere(CHAT_COMPLETION, Call("id", "qwen"))) == [unheard, other]


def test_a_replica_is_looked_up_once() -> None:
    known = table(replica(LLAMA), replica(OTHER))
    call = Call("id", "qwen")
    assert known.find(CHAT_COMPLETION, call) is known.find(CHAT_COMPLETION, call)


# Names in requests and in answers

PUBLIC, SAME = Target("llama", "meta/llama"), Target("qwen", "qwen")


def test_requests_are_rewritten_only_if_names_differ() -> None:
    body = {"model": "qwen", "messages": []}
    assert renaming.with_served_name(SAME, body) is body
    assert renaming.with_served_name(Target("", ""), body) is body
    assert renaming.with_served_name(PUBLIC, body) == {"model": "meta/llama", "messages": []}
    assert renaming.with_served_name(PUBLIC, {"messages": []})["model"] == "meta/llama"  # type: ignore[index]
    assert body["model"] == "qwen"


def test_forms_are_rewritten_too() -> None:
    form = Form((("model", "llama"), ("language", "en")), File(b"x", "a.wav", "audio/wav"))
    sent = renaming.with_served_name(PUBLIC, form)
    assert isinstance(sent, Form)
    assert sorted(sent.fields) == [("language", "en"), ("model", "meta/llama")]
    assert renaming.with_served_name(Target("llama", "llama"), form) is form


async def test_answers_have_the_public_name() -> None:
    answer = {"model": "meta/llama", "response": {"model": "meta/llama", "id": "r"}, "id": "x"}
    assert renaming.with_public_name(PUBLIC, answer) == {
        "model": "llama",
        "response": {"model": "llama", "id": "r"},
        "id": "x",
    }
    assert renaming.with_public_name(PUBLIC, {"id": "x", "response": "text"}) == {
        "id": "x",
        "response": "text",
    }
    assert renaming.with_public_name(SAME, {"model": "of its own"}) == {"model": "of its own"}


def test_a_very_long_name_costs_no_more() -> None:
    known = table(replica(*({"id": f"model-{number}"} for number in range(10))))
    long, endless = "model-1" * 100, "model-1" * 20_000
    assert "none of the 10 names" in refusal(known, endless).message
    assert steps(lambda: refusal(known, endless)) == steps(lambda: refusal(known, long))


@pytest.mark.parametrize("model", ["", "llama"])
def test_a_list_without_models(model: str) -> None:
    with pytest.raises(UpstreamFailure) as raised:
        ModelListing([], [], None).find(model)
    assert raised.value.kind is Kind.MODEL_UNKNOWN
    assert raised.value.message == "there is no model that the caller may use"


def test_an_operation_that_requires_an_option_of_vllm() -> None:
    with pytest.raises(UpstreamFailure) as raised:
        targets(table(replica(OTHER)), "qwen", GENERATION)
    assert raised.value.kind is Kind.ROUTE_MISSING
    assert "--enable-scale-out" in raised.value.message
