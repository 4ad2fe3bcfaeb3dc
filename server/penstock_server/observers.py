"""The observers of one process: the log of its calls, its metrics, its traces."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector

from penstock import __version__
from penstock_server.configuration import Settings
from penstock_server.encryption import metrics_tls
from penstock_server.fleet import Fleet
from penstock_server.rpc.calls import Middleware
from penstock_server.rpc.middleware import CallRecorder, CallTracer, RequestLog, methods
from penstock_server.rpc.server import ServerCertificate
from penstock_server.rpc.services import SERVICES
from penstock_server.telemetry import tracing
from penstock_server.telemetry.metrics import MetricsServer, ServiceMetrics, UpstreamMetrics

if TYPE_CHECKING:
    # It imports OpenTelemetry, which need not be installed.
    from penstock_server.telemetry.tracing import Tracing


class Observers:
    """The observers of one process.

    Attributes:
        request_log: logs calls.
        recorder: middleware that records the metrics of calls; None if no metrics are served.
        tracer: middleware that records the spans of calls; None if no spans are exported.
        metrics: the server of the metrics.
    """

    def __init__(
        self,
        settings: Settings,
        fleet: Fleet,
        generation: Callable[[], int],
        certificate: ServerCertificate | None,
    ) -> None:
        """Builds the observers, without serving metrics yet.

        Args:
            settings: the configuration.
            fleet: the upstreams.
            generation: returns the number of the configuration in force.
            certificate: the certificate that callers see; None for plaintext.
        """
        self._registry = CollectorRegistry(auto_describe=True)
        self._upstreams = UpstreamMetrics(self._registry, fleet)
        self._service = ServiceMetrics(self._registry, __version__, generation, certificate)
        ProcessCollector(registry=self._registry)
        self.metrics = MetricsServer(
            settings.metrics_listen, self.current_metrics, tls=metrics_tls(settings, certificate)
        )
        self._calls = _recorder(settings, self._registry, fleet)
        self.recorder: Middleware | None = self._calls.record_call if self._calls else None
        self.request_log = RequestLog(settings.log_calls)
        self._tracing = tracing.start()
        self.tracer = _tracer(self._tracing)

    async def current_metrics(self) -> CollectorRegistry:
        """Returns the metrics as they are now."""
        self._upstreams.refresh()
        if self._calls:
            self._calls.export_faults(self._upstreams.names)
        return self._registry

    def export(self, more: Collector) -> None:
        """Exports more metrics."""
        self._registry.register(more)

    def record_refusal(self) -> None:
        """Records that another configuration was refused."""
        self._service.reloads_refused += 1

    async def stop(self) -> None:
        """Stops serving metrics, and exports the last spans."""
        await self.metrics.stop()
        if self._tracing:
            await self._tracing.stop()


def _recorder(settings: Settings, registry: CollectorRegistry, fleet: Fleet) -> CallRecorder | None:
    if not settings.metrics_listen:
        return None
    return CallRecorder(
        registry,
        SERVICES,
        fleet.listed_model,
        conventions=settings.genai_conventions,
        by_caller=settings.metrics_by_caller,
    )


def _tracer(tracing: "Tracing | None") -> Middleware | None:
    return CallTracer(tracing, methods(SERVICES)).trace_call if tracing else None
