"""The chart, rendered with its defaults and with each example."""

import stat
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from cli.process import penstock, serving

from deploy.helm.__main__ import CHART
from deployment.manifests.chart import EXAMPLES, only, refused, rendered
from deployment.manifests.programs import output
from penstock_server.options import ConfigFile
from penstock_server.simulator import Simulator

every_example = pytest.mark.parametrize("example", EXAMPLES)
# Names of files in Secrets, apart from certificates, and their contents.
KEYS = ("api-key", "callers.toml", "keys")
CONTENTS = {"callers": b'[[caller]]\nname = "a"\nkeys = ["sk-a"]\n', "upstream": b"sk-upstream\n"}


@every_example
def test_lint(example: str) -> None:
    output("bin/helm", "lint", "--strict", CHART, "--values", EXAMPLES[example])


def test_lint_of_the_defaults() -> None:
    output("bin/helm", "lint", "--strict", CHART)


def pod_of(manifests: list[Any]) -> Any:
    return only(manifests, "Deployment")["spec"]["template"]["spec"]


def secret_files(manifests: list[Any], folder: Path) -> dict[str, str]:
    """Writes the files of each Secret; returns their folder for each path where it is mounted."""
    pod = pod_of(manifests)
    [container] = pod["containers"]
    certificate, key = (authority := Authority()).issue()
    pair = {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.root}
    volumes = {volume["name"]: volume for volume in pod["volumes"] if "secret" in volume}
    written = {}
    for mount in container["volumeMounts"]:
        if volume := volumes.get(mount["name"]):
            to = folder / volume["name"]
            to.mkdir()
            content = CONTENTS.get(volume["name"])
            files = pair if content is None else dict.fromkeys(KEYS, content)
            for name, text in files.items():
                (to / name).write_bytes(text)
                (to / name).chmod(volume["secret"]["defaultMode"])
            written[mount["mountPath"]] = str(to)
    return written


@every_example
async def test_a_service_starts_with_the_configuration(
    example: str, simulator: Simulator, tmp_path: Path
) -> None:
    """The very file of the ConfigMap, with Secrets and upstreams of this machine."""
    manifests = rendered("--values", EXAMPLES[example])
    text = only(manifests, "ConfigMap")["data"]["penstock.toml"]
    for mounted, written in secret_files(manifests, tmp_path).items():
        text = text.replace(f'"{mounted}/', f'"{written}/')
    assert "/run/secrets" not in text
    file = tmp_path / "penstock.toml"
    file.write_text(text)
    free = ("--metrics-listen", "127.0.0.1:0", "--admin-listen", "off", "--log-format", "json")
    health = ("--health-listen", "127.0.0.1:0") if "tls_cert" in text else ()
    async with serving("--config", str(file), *free, *health, "--workers", "1") as (process, _):
        configured = await process.log("configuration")
    given = ConfigFile(str(file)).content
    assert configured["max_concurrent_calls"] == given["max_concurrent_calls"] == 1000
    assert len(configured["upstream"]) == len(given["upstream"])
    logged = {line["event"] for line in process.logged}
    assert "every user can read a file with secrets" not in logged


@every_example
def test_pods_have_time_to_drain(example: str) -> None:
    pod = pod_of(rendered("--values", EXAMPLES[example], "--set-json", "options.drain_timeout=0.5"))
    assert pod["terminationGracePeriodSeconds"] == 31


@every_example
def test_ports_and_selectors_lead_to_the_pods(example: str) -> None:
    manifests = rendered("--values", EXAMPLES[example])
    deployment = only(manifests, "Deployment")
    [container] = pod_of(manifests)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    selectors = [one["spec"]["selector"] for one in manifests if one["kind"] == "Service"]
    selectors.append(only(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    selectors.append(only(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    for constraint in pod_of(manifests)["topologySpreadConstraints"]:
        selectors.append(constraint["labelSelector"]["matchLabels"])
    assert all(found == selector for found in selectors)
    assert selector.items() <= labels.items()
    test = [one for one in manifests if one["kind"] == "Pod"]
    assert all(not selector.items() <= one["metadata"]["labels"].items() for one in test)
    for service in (one for one in manifests if one["kind"] == "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports.keys()
    headless = only(manifests, "Service", "-pods")["spec"]["ports"]
    assert all(port["port"] == ports[port["targetPort"]] for port in headless)
    for rule in only(manifests, "NetworkPolicy")["spec"]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= ports.keys()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["grpc"]["port"] == ports.get("health", ports["grpc"])


@every_example
async def test_options_of_commands_exist(example: str) -> None:
    manifests = rendered("--values", EXAMPLES[example])
    pods = [pod_of(manifests), *(one["spec"] for one in manifests if one["kind"] == "Pod")]
    for pod in pods:
        [container] = pod["containers"]
        command, *arguments = container["args"]
        shown = (await penstock(command, "--help")).out
        assert all(f"{one} " in shown for one in arguments if one.startswith("--"))


def test_references_between_objects() -> None:
    secured = rendered("--values", EXAMPLES["tls"])
    [volume] = (one for one in pod_of(secured)["volumes"] if one["name"] == "tls")
    assert volume["secret"]["secretName"] == only(secured, "Certificate")["spec"]["secretName"]
    routed = rendered("--values", EXAMPLES["gateway"])
    [rule] = only(routed, "GRPCRoute")["spec"]["rules"]
    [backend] = rule["backendRefs"]
    service = only(routed, "Service", "release-penstock")
    assert backend == {"name": "release-penstock", "port": service["spec"]["ports"][0]["port"]}
    deployment = only(routed, "Deployment")
    assert "replicas" not in deployment["spec"]
    scaled = only(routed, "ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    headless = only(routed, "Service", "-pods")
    [trigger] = scaled["triggers"]
    assert f'service="{headless["metadata"]["name"]}"' in trigger["metadata"]["query"]
    monitor = only(routed, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= headless["metadata"]["labels"].items()
    [endpoint] = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in headless["spec"]["ports"]}
    # The job that the alerts select.
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "penstock"}]


@every_example
def test_secrets_are_for_the_group_alone(example: str) -> None:
    pod = pod_of(rendered("--values", EXAMPLES[example]))
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    modes = [one["secret"]["defaultMode"] for one in pod["volumes"] if "secret" in one]
    assert all(mode == stat.S_IRUSR | stat.S_IRGRP for mode in modes)
    assert modes


def test_changes_that_pods_read_at_their_start_replace_them() -> None:
    def annotations(*changes: str) -> Any:
        template = only(rendered(*changes), "Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]

    live = ("--set", "options.idle_timeout=7", "--set", "upstreams[0].url=http://other")
    assert annotations(*live) == annotations()
    assert annotations("--set", "options.max_connection_age=7") != annotations()


REFUSED = {
    "an unknown option": ("options.idle_timout=1", "idle_timout"),
    "an option that is set by other values": ("options.listen=a", "listen"),
    "a key in a ConfigMap": ("upstreams[0].api_key=sk-a", "api_key"),
    "an option of another type": ("options.workers=many", "/options/workers"),
    "an unknown value": ("replicas=2", "replicas"),
    "no issuer": ("tls.certManager.enabled=true", "issuerRef.name is required"),
    "no Gateway": ("grpcRoute.enabled=true", "parentRefs is required"),
    "two certificates": (
        "tls.existingSecret=a,tls.certManager.enabled=true",
        "excludes tls.existingSecret",
    ),
    "scrapes without a certificate": (
        "metrics.serviceMonitor.enabled=true,tls.existingSecret=a,tls.requireClientCertificate=true",
        "tlsConfig is required",
    ),
}


@pytest.mark.parametrize(("change", "error"), REFUSED.values(), ids=REFUSED)
def test_values_that_are_refused(change: str, error: str) -> None:
    assert error in refused("--set", change)
