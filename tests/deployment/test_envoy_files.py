"""The files for Envoy agree with the service; `tests/mesh` runs them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_server.configuration.settings import Settings
from penstock_server.rpc.server.connections import _SHORTEST_PING_INTERVAL_MS
from penstock_server.rpc.services import SERVICES

ENVOY = Path(__file__).parents[2] / "deploy" / "envoy"
TEXT = (ENVOY / "envoy.yaml").read_text("utf-8")
DEFAULTS = Settings()


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


@pytest.fixture(params=("plaintext", "tls"))
def envoy(request: pytest.FixtureRequest) -> Any:
    """The file as it is, and as the command in it makes it."""
    return yaml.safe_load(TEXT.replace("#tls ", "") if request.param == "tls" else TEXT)


@pytest.fixture
def manager(envoy: Any) -> Any:
    [listener] = envoy["static_resources"]["listeners"]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


@pytest.fixture
def routes(manager: Any) -> Any:
    [host] = manager["route_config"]["virtual_hosts"]
    return host["routes"]


@pytest.fixture
def clusters(envoy: Any) -> Any:
    return {cluster["name"]: cluster for cluster in envoy["static_resources"]["clusters"]}


def test_every_service_has_a_route_and_a_cluster(routes: Any, clusters: Any) -> None:
    served = {}
    for route in routes:
        assert route["route"] | {"cluster": ""} == routes[0]["route"] | {"cluster": ""}
        [check] = clusters[route["route"]["cluster"]]["health_checks"]
        served[check["grpc_health_check"]["service_name"]] = route["match"]["prefix"]
    assert served.keys() == SERVICES.keys()
    # The last one also has health and reflection.
    assert served.pop("penstock.v1.ModelService") == "/"
    assert all(prefix == f"/{name}/" for name, prefix in served.items())
    assert len(routes) == len(clusters)


def test_clusters_differ_in_their_service_alone(clusters: Any) -> None:
    first = clusters["chat"]
    for name, cluster in clusters.items():
        assert cluster["load_assignment"].pop("cluster_name") == name
        cluster["name"] = ""
        cluster["health_checks"][0]["grpc_health_check"] = {}
        assert cluster == first


def test_json_callers_reach_every_service(manager: Any) -> None:
    [json] = (
        one["typed_config"]
        for one in manager["http_filters"]
        if one["name"] == "envoy.filters.http.grpc_json_transcoder"
    )
    assert set(json["services"]) == SERVICES.keys()
    base64 = 4 / 3
    largest = DEFAULTS.max_message_bytes * base64
    [host] = manager["route_config"]["virtual_hosts"]
    assert largest < host["request_body_buffer_limit"]


def test_times_fit_those_of_the_service(manager: Any, clusters: Any) -> None:
    longest = max(DEFAULTS.first_byte_timeout, DEFAULTS.idle_timeout)
    assert seconds(manager["stream_idle_timeout"]) > longest
    [check] = clusters["chat"]["health_checks"]
    assert check["unhealthy_threshold"] * seconds(check["interval"]) < DEFAULTS.drain_delay
    assert check["no_traffic_interval"] == check["interval"]
    [protocol] = clusters["chat"]["typed_extension_protocol_options"].values()
    http2 = protocol["explicit_http_config"]["http2_protocol_options"]
    shortest = _SHORTEST_PING_INTERVAL_MS / 1000
    assert seconds(http2["connection_keepalive"]["interval"]) > shortest


def test_streams_of_one_caller_fit_its_connection(manager: Any) -> None:
    streams = manager["http2_protocol_options"]["max_concurrent_streams"]
    assert streams == DEFAULTS.max_calls_per_connection
