"""Configurations of Envoy and LiteLLM as proxies in front of vLLM, also for tests/routers."""

from collections.abc import Mapping, Sequence

_FILTERS = "type.googleapis.com/envoy.extensions.filters"

LITELLM_ENVIRONMENT: Mapping[str, str] = {
    "LITELLM_MODE": "PRODUCTION",
    # Otherwise it downloads model prices when it starts.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # Without a master key, it then checks no keys.
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
}
"""Environment variables of LiteLLM's proxy."""


def litellm_config(
    servers: Sequence[str], models: Sequence[str], api_key: str = ""
) -> Mapping[str, object]:
    """Returns the configuration of LiteLLM's proxy.

    Args:
        servers: base URLs of the servers behind it.
        models: names of the models that each server has.
        api_key: key that the servers and the proxy require; empty for none.
    """
    deployments = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"hosted_vllm/{name}",
                "api_base": f"{server}/v1",
                "api_key": api_key or "none",
            },
        }
        for name in models
        for server in servers
    ]
    return {
        "model_list": deployments,
        "litellm_settings": {"num_retries": 0, "request_timeout": 600},
        # Otherwise a caller's mistake would remove the server for all callers.
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"master_key": api_key} if api_key else {},
    }


def envoy_config(listen: tuple[str, int], servers: Sequence[str]) -> Mapping[str, object]:
    """Returns the configuration of Envoy as a hop from HTTP/1.1 to HTTP/1.1.

    Args:
        listen: host and port of Envoy.
        servers: base URLs of the servers behind it.
    """
    return {
        "static_resources": {"listeners": [_listener(*listen)], "clusters": [_cluster(servers)]}
    }


def tls_client_config(listen: tuple[str, int], servers: Sequence[str]) -> Mapping[str, object]:
    """Returns the configuration of Envoy as a client that encrypts plaintext connections.

    Args:
        listen: host and port of Envoy.
        servers: addresses of the servers behind it, as URLs; they speak HTTP/2 over TLS.
    """
    forward = {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "tls",
            "cluster": "tls",
        },
    }
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"alpn_protocols": ["h2"]},
    }
    cluster = {
        "name": "tls",
        "connect_timeout": "5s",
        "type": "STATIC",
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
        "load_assignment": {"cluster_name": "tls", "endpoints": [_endpoints(servers)]},
    }
    listener = {"address": _address(*listen), "filter_chains": [{"filters": [forward]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _endpoints(servers: Sequence[str]) -> Mapping[str, object]:
    ends = [url.removeprefix("http://").split(":") for url in servers]
    return {
        "lb_endpoints": [
            {"endpoint": {"address": _address(host, int(port))}} for host, port in ends
        ]
    }


def _listener(host: str, port: int) -> Mapping[str, object]:
    # Envoy ends a request after 15 s by default.
    route = {"match": {"prefix": "/"}, "route": {"cluster": "vllm", "timeout": "0s"}}
    hosts = [{"name": "all", "domains": ["*"], "routes": [route]}]
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
    }
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [router],
        "route_config": {"virtual_hosts": hosts},
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {"address": _address(host, port), "filter_chains": [{"filters": [http]}]}


def _cluster(servers: Sequence[str]) -> Mapping[str, object]:
    health = {
        "timeout": "5s",
        "interval": "5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "http_health_check": {"path": "/health"},
    }
    # 1024 of each by default.
    limits = {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}
    return {
        "name": "vllm",
        "connect_timeout": "5s",
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "health_checks": [health],
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "vllm",
            "endpoints": [_endpoints(servers)],
        },
    }


def _address(host: str, port: int) -> Mapping[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}
