"""The provider of spans that the environment describes; imports OpenTelemetry's SDK."""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from penstock.version import __version__
from penstock_server.telemetry.tracing import contents
from penstock_server.telemetry.tracing.sampling import NextIds, Sampling
from penstock_server.telemetry.tracing.spans import Tracing

_EXPORTERS = "opentelemetry_traces_exporter"
_PROTOCOLS = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_UNNAMED = "unknown_service"


def tracing(environment: Mapping[str, str]) -> Tracing:
    """Returns the recorder of spans, which exports them as the environment defines.

    The SDK itself reads the variables of samplers, resources, limits, batches and exporters.

    Raises:
        ValueError: an exporter or a protocol is unknown.
        ImportError: an exporter is not installed.
    """
    exporters = list(_exporters(environment))
    ids = NextIds()
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False, id_generator=ids)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("penstock", __version__)
    drops = Sampling(ids, provider.sampler).drops
    most = contents.most_characters(environment)
    return Tracing(tracer, provider.shutdown, drops, most_content=most)


def _resource() -> Resource:
    found = Resource.create({SERVICE_VERSION: __version__})
    if str(found.attributes.get(SERVICE_NAME, _UNNAMED)).startswith(_UNNAMED):
        return found.merge(Resource({SERVICE_NAME: "penstock"}))
    return found


def _exporters(environment: Mapping[str, str]) -> Iterator[SpanExporter]:
    names = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    for name in map(str.strip, names.split(",")):
        known = _otlp(environment) if name == "otlp" else name
        found = next(iter(entry_points(group=_EXPORTERS, name=known)), None)
        if not found:
            raise ValueError(f"OTEL_TRACES_EXPORTER: {name} is not installed")
        yield found.load()()


def _otlp(environment: Mapping[str, str]) -> str:
    """Returns the name of the exporter for the protocol of OTLP."""
    general = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "grpc"
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or general
    if protocol not in _PROTOCOLS:
        known = " and ".join(_PROTOCOLS)
        raise ValueError(f"{protocol} is not a valid protocol of OTLP; valid are {known}")
    return _PROTOCOLS[protocol]
