"""The manifests of inference gateways agree with each other and with the chart's example."""

from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "inference-gateway"
# Values of a chart that is not part of this project.
LLM_D = FOLDER / "llm-d.yaml"


def manifests() -> list[Any]:
    """Returns all manifests of the folder."""
    files = sorted(path for path in FOLDER.iterdir() if path != LLM_D)
    return [one for path in files for one in yaml.safe_load_all(path.read_text("utf-8"))]


def the(kind: str, name: str) -> Any:
    """Returns the manifest of a kind and a name."""
    [found] = (
        manifest
        for manifest in manifests()
        if (manifest["kind"], manifest["metadata"]["name"]) == (kind, name)
    )
    return found


@pytest.fixture
def pool() -> Any:
    return the("InferencePool", "vllm")


@pytest.fixture
def values() -> Any:
    """The values of Penstock's own chart."""
    return yaml.safe_load((DEPLOY / "helm/examples/inference-gateway.yaml").read_text("utf-8"))


def test_the_pool_has_the_fields_of_its_version(pool: Any) -> None:
    """No package has the schema of this kind."""
    assert pool["apiVersion"] == "inference.networking.k8s.io/v1"
    spec = pool["spec"]
    assert spec.keys() == {"selector", "targetPorts", "appProtocol", "endpointPickerRef"}
    assert spec["selector"].keys() == {"matchLabels"}
    assert [port.keys() for port in spec["targetPorts"]] == [{"number"}]
    assert spec["appProtocol"] in {"http", "kubernetes.io/h2c"}
    assert spec["endpointPickerRef"].keys() == {"name", "port", "failureMode"}
    assert spec["endpointPickerRef"]["failureMode"] in {"FailOpen", "FailClose"}


def test_the_pool_names_its_picker(pool: Any) -> None:
    named = pool["spec"]["endpointPickerRef"]
    service = the("Service", named["name"])["spec"]
    [target] = [
        port["targetPort"] for port in service["ports"] if port["port"] == named["port"]["number"]
    ]
    template = the("Deployment", named["name"])["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    [container] = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports[target] == named["port"]["number"]
    assert container["livenessProbe"]["grpc"]["port"] == ports["grpc-health"]
    assert the("DestinationRule", named["name"])["spec"]["host"] == named["name"]


def test_the_picker_names_its_pool_and_its_configuration(pool: Any) -> None:
    pod = the("Deployment", "endpoint-picker")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    arguments = dict(argument.split("=", 1) for argument in container["args"])
    assert arguments["--pool-name"] == pool["metadata"]["name"]
    assert arguments["--pool-group"] == pool["apiVersion"].partition("/")[0]
    [volume], [mount] = pod["volumes"], container["volumeMounts"]
    files = the("ConfigMap", volume["configMap"]["name"])["data"]
    folder, _, file = arguments["--config-file"].rpartition("/")
    assert folder == mount["mountPath"]
    configured = yaml.safe_load(files[file])
    known = {plugin["type"] for plugin in configured["plugins"]}
    [profile] = configured["schedulingProfiles"]
    assert {plugin["pluginRef"] for plugin in profile["plugins"]} == known


def test_the_picker_may_read_its_pool(pool: Any) -> None:
    account = the("Deployment", "endpoint-picker")["spec"]["template"]["spec"]["serviceAccountName"]
    binding = the("RoleBinding", "endpoint-picker")
    assert [subject["name"] for subject in binding["subjects"]] == [account]
    assert the("ServiceAccount", account)
    readable = {
        (group, resource)
        for rule in the("Role", binding["roleRef"]["name"])["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert {("", "pods"), (pool["apiVersion"].partition("/")[0], "inferencepools")} <= readable


def test_the_route_leads_from_the_gateway_to_the_pool(pool: Any) -> None:
    route = the("HTTPRoute", "vllm")["spec"]
    [parent] = route["parentRefs"]
    listeners = the("Gateway", parent["name"])["spec"]["listeners"]
    assert parent["sectionName"] in {listener["name"] for listener in listeners}
    [rule] = route["rules"]
    assert rule["backendRefs"] == [
        {
            "group": pool["apiVersion"].partition("/")[0],
            "kind": pool["kind"],
            "name": pool["metadata"]["name"],
        }
    ]
    assert set(rule["timeouts"].values()) == {"0s"}


def test_the_service_calls_the_inner_gateway(values: Any) -> None:
    gateway = the("Gateway", "inference")
    [listener] = gateway["spec"]["listeners"]
    host = f"{gateway['metadata']['name']}-{gateway['spec']['gatewayClassName']}"
    [upstream] = values["upstreams"]
    assert upstream["url"] == f"http://{host}:{listener['port']}"


def test_callers_come_through_the_outer_gateway(values: Any) -> None:
    [parent] = values["grpcRoute"]["parentRefs"]
    [listener] = the("Gateway", parent["name"])["spec"]["listeners"]
    assert parent["sectionName"] == listener["name"]
    assert values["grpcRoute"]["hostnames"] == [listener["hostname"]]
    assert listener["allowedRoutes"]["kinds"] == [{"kind": "GRPCRoute"}]


def test_llm_d_serves_the_same_pods_through_the_same_gateway(pool: Any, values: Any) -> None:
    theirs = yaml.safe_load(LLM_D.read_text("utf-8"))
    servers = theirs["router"]["modelServers"]
    assert servers["matchLabels"] == pool["spec"]["selector"]["matchLabels"]
    assert servers["targetPorts"] == pool["spec"]["targetPorts"]
    [parent] = the("HTTPRoute", "vllm")["spec"]["parentRefs"]
    assert theirs["httpRoute"]["inferenceGatewayName"] == parent["name"]
    [upstream] = values["upstreams"]
    objectives = {objective["name"] for objective in theirs["router"]["inferenceObjectives"]}
    assert upstream["headers"]["x-gateway-inference-objective"] in objectives
