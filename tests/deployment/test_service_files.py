"""The files for Docker, systemd and Kubernetes: they agree with each other and with the service."""

import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.process import PENSTOCK, penstock, started

from penstock_server.configuration import Settings
from penstock_server.options import ConfigFile, options, read_table
from penstock_server.rpc.server import is_local
from penstock_server.rpc.services import SERVICES
from penstock_server.simulator import Simulator
from penstock_server.telemetry.metrics.names import BY_NAME

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
NAME = {"app.kubernetes.io/name": "penstock"}


@pytest.fixture
def settings() -> Settings:
    """The configuration of the pods."""
    return read_table(Settings, ConfigFile(str(KUBERNETES / "penstock.toml")).content)


def manifest(file: str) -> Any:
    [found] = yaml.safe_load_all((KUBERNETES / file).read_text("utf-8"))
    return found


@pytest.fixture
def pod() -> Any:
    return manifest("deployment.yaml")["spec"]["template"]["spec"]


def test_the_kustomization_names_every_file() -> None:
    named = manifest("kustomization.yaml")
    files = {path.name for path in KUBERNETES.iterdir()} - {"kustomization.yaml"}
    assert files == {*named["resources"], *named["configMapGenerator"][0]["files"]}


def test_a_pod_has_time_to_drain(settings: Settings, pod: Any) -> None:
    drain_s = settings.drain_delay + settings.drain_timeout
    assert drain_s + 5 <= pod["terminationGracePeriodSeconds"]


def test_ports_are_those_of_the_configuration(settings: Settings, pod: Any) -> None:
    [container] = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    addresses = {"grpc": settings.addresses[0], "metrics": settings.metrics_listen}
    assert {name: int(one.rpartition(":")[2]) for name, one in addresses.items()} == ports
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["grpc"]["port"] == ports["grpc"]
    services = list(yaml.safe_load_all((KUBERNETES / "service.yaml").read_text("utf-8")))
    for service in services:
        [port] = service["spec"]["ports"]
        assert (port["port"], port["targetPort"]) == (ports["grpc"], "grpc")
    allowed = manifest("network.yaml")["spec"]["ingress"]
    assert {port["port"] for rule in allowed for port in rule["ports"]} == ports.keys()
    assert is_local(settings.admin_listen)


def test_everything_selects_the_pods() -> None:
    deployment = manifest("deployment.yaml")["spec"]
    assert deployment["template"]["metadata"]["labels"] == NAME
    assert deployment["selector"]["matchLabels"] == NAME
    assert manifest("disruption.yaml")["spec"]["selector"]["matchLabels"] == NAME
    assert manifest("network.yaml")["spec"]["podSelector"]["matchLabels"] == NAME
    for service in yaml.safe_load_all((KUBERNETES / "service.yaml").read_text("utf-8")):
        assert service["spec"]["selector"] == NAME
    assert manifest("scaling.yaml")["spec"]["scaleTargetRef"]["name"] == "penstock"


def test_probes_ask_for_services_that_exist(pod: Any) -> None:
    [container] = pod["containers"]
    probes = (container[name]["grpc"] for name in ("startupProbe", "livenessProbe"))
    assert {probe["service"] for probe in probes} == {"liveness"}
    assert container["readinessProbe"]["grpc"].get("service", "") in ("", *SERVICES)


def test_it_scales_by_a_metric_that_exists(settings: Settings) -> None:
    [metric] = manifest("scaling.yaml")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] in BY_NAME
    assert int(metric["pods"]["target"]["averageValue"]) < settings.max_concurrent_calls


def commands() -> dict[str, list[str]]:
    """The command of every file that starts the service."""
    unit = (DEPLOY / "systemd" / "penstock.service").read_text("utf-8")
    image = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")
    [started_by_systemd] = re.findall(r"^ExecStart=\S+ (.*)$", unit, re.MULTILINE)
    [by_docker] = re.findall(r"^CMD (\[.*\])$", image, re.MULTILINE)
    [container] = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    return {
        "systemd": shlex.split(started_by_systemd),
        "docker": yaml.safe_load(by_docker),
        "kubernetes": container["args"],
    }


@pytest.mark.parametrize("file", ["systemd", "docker", "kubernetes"])
async def test_commands_have_options_of_the_service(file: str) -> None:
    command, *arguments = commands()[file]
    assert command == "serve"
    shown = (await penstock("serve", "--help")).out
    for argument in arguments:
        if argument.startswith("--"):
            assert f"{argument} " in shown


def test_variables_are_options() -> None:
    unread = {".json", ".pyc"}
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix not in unread]
    named = {v for path in files for v in re.findall(r"PENSTOCK_(\w+)", path.read_text("utf-8"))}
    assert named
    assert {name.lower() for name in named} <= options(Settings).keys()


def test_files_that_the_image_copies_exist() -> None:
    image = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", image, re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert set(sources) == allowed
    assert all((ROOT / source).exists() for source in sources)
    [version] = re.findall(r"^ARG VERSION=(.*)$", image, re.MULTILINE)
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text("utf-8")
    # They would override the configuration file that a container may have.
    assert "PENSTOCK_LISTEN" not in image


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_service_manager_hears_of_start_and_stop(
    workers: str, simulator: Simulator, tmp_path: Path
) -> None:
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        manager.settimeout(60)
        command = (PENSTOCK, "serve", "--upstream", simulator.url, "--listen", "127.0.0.1:0")
        more = ("--workers", workers, "--admin-listen", "off", "--metrics-listen", "off")
        async with started(*command, *more, env={"NOTIFY_SOCKET": place}) as process:
            assert manager.recv(64) == b"READY=1"
            process.signal(15)
            assert manager.recv(64) == b"STOPPING=1"
            assert (await process.end()).code == 0
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(64)
