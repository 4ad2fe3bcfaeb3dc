"""Names of models: public names, which callers use, and those of an upstream."""

from collections.abc import Iterable, Mapping, Sequence

from penstock_server.upstream import JsonObject


def published(listing: Sequence[JsonObject], names: Mapping[str, str]) -> Mapping[str, JsonObject]:
    """Returns the entries of the models that may be used, by their public names.

    An entry keeps the upstream's own name as its `id`; its `parent` is a public name.

    Args:
        listing: an upstream's model list.
        names: public names, each with the upstream's; empty for all models as they are. The
            adapters of a model come with it.
    """
    entries = {entry["id"]: entry for entry in listing}
    if not names:
        return entries
    chosen = {public: entries[served] for public, served in names.items() if served in entries}
    public_of = {weights(entry): public for public, entry in reversed(chosen.items())}
    based = {entry["id"]: _base(entry, entries) for entry in listing}
    adapters = {name: entries[name] for name, base in based.items() if base in public_of}
    return {
        name: {**entry, "parent": public_of.get(based[entry["id"]])} if _parent(entry) else entry
        for name, entry in {**adapters, **chosen}.items()
    }


def weights(entry: JsonObject) -> str:
    """Returns the weights of a base model, which all of its names share."""
    return str(entry.get("root") or entry["id"])


def bases(models: Mapping[str, JsonObject]) -> list[tuple[str, str]]:
    """Returns weights and public name of every model that is not an adapter."""
    return [(weights(entry), name) for name, entry in models.items() if not entry.get("parent")]


def one_model_each(named: Iterable[tuple[str, str]]) -> Sequence[set[str]]:
    """Groups names by model, given the weights and the name of each.

    Names with the same weights belong to one model, and so do weights with the same name: replicas
    may keep these in different places.
    """
    by_weights: dict[str, set[str]] = {}
    for weights, name in named:
        by_weights.setdefault(weights, set()).add(name)
    models: list[set[str]] = []
    for names in by_weights.values():
        shared = [others for others in models if others & names]
        models = [others for others in models if others not in shared]
        models.append(names.union(*shared))
    return models


def renamed(models: Mapping[str, JsonObject]) -> Iterable[JsonObject]:
    """Yields the entries under their public names."""
    for name, entry in models.items():
        yield entry if name == entry["id"] else {**entry, "id": name}


def _parent(entry: JsonObject) -> str:
    parent = entry.get("parent")
    return parent if isinstance(parent, str) else ""


def _base(entry: JsonObject, entries: Mapping[str, JsonObject]) -> str:
    """Returns the weights of an adapter's base model; empty if the entry is not an adapter."""
    base = entries.get(_parent(entry))
    return weights(base) if base else ""
