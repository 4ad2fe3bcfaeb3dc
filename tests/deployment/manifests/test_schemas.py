"""Every manifest is valid by strict schemas, in which unknown fields are errors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployment import test_inference_gateway, test_mesh_page
from deployment.manifests.chart import EXAMPLES, rendered
from deployment.manifests.custom_resources import is_custom
from deployment.manifests.programs import output
from deployment.manifests.validation import manifest_errors

DEPLOY = Path(__file__).parents[3] / "deploy"
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
ROUTE = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GRPCRoute",
    "metadata": {"name": "a"},
}
BROKEN = {
    "an unknown field": ({**SERVICE, "spec": {"selectr": {}}}, "selectr"),
    "a value of another type": ({**SERVICE, "spec": {"ports": [{"port": "a"}]}}, "integer"),
    "an unknown kind": ({**SERVICE, "kind": "Servise"}, "Servise"),
    "an unknown field of a route": ({**ROUTE, "spec": {"parentRef": []}}, "parentRef"),
    "a route to a backend without a name": (
        {**ROUTE, "spec": {"rules": [{"backendRefs": [{"port": 1}]}]}},
        "name",
    ),
}
SOURCES = ("defaults", *EXAMPLES, "kustomization", "meshes", "inference gateways")


@pytest.fixture(scope="module")
def errors() -> Mapping[str, Sequence[str]]:
    """The errors of all manifests, which are validated together: the programs start slowly."""
    sources: dict[str, Sequence[Any]] = {name: [one] for name, (one, _) in BROKEN.items()}
    sources["defaults"] = rendered()
    sources |= {name: rendered("--values", path) for name, path in EXAMPLES.items()}
    built = output("bin/kubectl", "kustomize", DEPLOY / "kubernetes")
    sources["kustomization"] = list(yaml.safe_load_all(built))
    # There are no types of Consul's and Linkerd's kinds.
    sources["meshes"] = [one for one in test_mesh_page.manifests() if is_custom(one)]
    assert len(sources["meshes"]) > 5
    # There are no types of InferencePools.
    sources["inference gateways"] = [
        one for one in test_inference_gateway.manifests() if one["kind"] != "InferencePool"
    ]
    return manifest_errors(sources)


@pytest.mark.parametrize("source", SOURCES)
def test_valid(errors: Mapping[str, Sequence[str]], source: str) -> None:
    assert errors[source] == []


@pytest.mark.parametrize("broken", BROKEN)
def test_errors_are_found(errors: Mapping[str, Sequence[str]], broken: str) -> None:
    [error] = errors[broken]
    assert BROKEN[broken][1] in error
