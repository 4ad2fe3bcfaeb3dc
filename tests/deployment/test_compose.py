"""The compose file: its parts agree with each other, the service and the shipped files."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.process import penstock

from penstock_server.configuration import Settings
from penstock_server.options import ConfigFile, read_table

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"


def yaml_file(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture
def services() -> Any:
    return yaml_file(COMPOSE / "compose.yaml")["services"]


@pytest.fixture
def settings() -> Settings:
    """The configuration of the containers."""
    return read_table(Settings, ConfigFile(str(COMPOSE / "penstock" / "penstock.toml")).content)


def names(service: str, described: Any) -> set[str]:
    """Returns the names of a container for the others."""
    networks = described.get("networks", {})
    return {service, *networks.get("default", {}).get("aliases", ())}


def test_mounted_files_exist(services: Any) -> None:
    mounts = [mount for one in services.values() for mount in one.get("volumes", ())]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert files
    assert all((COMPOSE / file).exists() for file in files)


def test_profiles(services: Any) -> None:
    by_profile = {name: described.get("profiles", []) for name, described in services.items()}
    assert [name for name, profiles in by_profile.items() if not profiles] == ["penstock"]
    head = (COMPOSE / "compose.yaml").read_text("utf-8").partition("name:")[0]
    named = {profile for profiles in by_profile.values() for profile in profiles}
    assert set(re.findall(r"--profile (\w+)", head)) == named


def test_addresses(services: Any, settings: Settings) -> None:
    known = {name: names(name, described) for name, described in services.items()}
    [upstream] = settings.upstream
    address = str(getattr(upstream, "url", "")).removeprefix("http://")
    for server in ("vllm", "simulator"):
        assert address.split(":")[0] in known[server]
    assert services["simulator"]["command"][2] == f"0.0.0.0:{address.split(':')[1]}"
    envoy = (ROOT / "deploy" / "envoy" / "envoy.yaml").read_text("utf-8")
    penstocks = set(re.findall(r"address: (penstock[\w-]*), port_value: 50051", envoy))
    assert penstocks == (known["penstock"] | known["penstock-2"]) - {"penstock"}
    port = settings.addresses[0].rpartition(":")[2]
    assert services["penstock"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_ports_are_open_on_this_machine_only(services: Any) -> None:
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_containers_have_time_to_drain(services: Any, settings: Settings) -> None:
    for name in ("penstock", "penstock-2"):
        seconds = int(services[name]["stop_grace_period"].removesuffix("s"))
        assert settings.drain_delay + settings.drain_timeout + 5 <= seconds


async def test_options_exist(services: Any) -> None:
    for name in ("penstock", "simulator"):
        command, *arguments = services[name]["command"]
        shown = (await penstock(command, "--help")).out
        assert all(f"{one} " in shown for one in arguments if one.startswith("--"))


def test_the_image_has_the_version_of_the_project(services: Any) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert services["penstock"]["image"] == f"penstock:{project['version']}"


def test_prometheus_scrapes_as_the_shipped_one(services: Any, settings: Settings) -> None:
    ours = yaml_file(COMPOSE / "prometheus.yml")
    shipped = yaml_file(ROOT / "deploy" / "prometheus" / "prometheus.yml")
    jobs = [[job["job_name"] for job in one["scrape_configs"]] for one in (ours, shipped)]
    assert jobs[0] == jobs[1]
    assert (ours["global"], ours["rule_files"]) == (shipped["global"], shipped["rule_files"])
    [found] = ours["scrape_configs"][0]["dns_sd_configs"]
    assert settings.metrics_listen.endswith(f":{found['port']}")
    sources = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    assert yaml_file(sources)["datasources"][0]["url"] == "http://localhost:9090"
    assert services["grafana"]["network_mode"] == "service:prometheus"
