"""Metrics for Prometheus: their names, their values, and the address that serves them.

Other packages import from here, and the names from `names`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock_server.telemetry.metrics.admin import AdminCalls
    from penstock_server.telemetry.metrics.calls import CallMetrics, Method, MethodMetrics
    from penstock_server.telemetry.metrics.endpoint import MetricsServer
    from penstock_server.telemetry.metrics.generation import Generations
    from penstock_server.telemetry.metrics.service import Certificate, ServiceMetrics
    from penstock_server.telemetry.metrics.upstreams import UpstreamMetrics
    from penstock_server.telemetry.metrics.workers import WorkerMetrics

__all__ = [
    "AdminCalls",
    "CallMetrics",
    "Certificate",
    "Generations",
    "Method",
    "MethodMetrics",
    "MetricsServer",
    "ServiceMetrics",
    "UpstreamMetrics",
    "WorkerMetrics",
]


def __getattr__(name: str) -> Any:
    # The command line needs the names, and should not load the exporter for them.
    if name not in __all__:
        raise AttributeError(name)
    from penstock_server.telemetry.metrics import (
        admin,
        calls,
        endpoint,
        generation,
        service,
        upstreams,
        workers,
    )

    modules = (admin, calls, endpoint, generation, service, upstreams, workers)
    return next(getattr(module, name) for module in modules if hasattr(module, name))
