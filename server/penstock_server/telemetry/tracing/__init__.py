"""Traces, by OpenTelemetry: configured by its `OTEL_*` variables alone.

`start` imports OpenTelemetry only if the variables request traces. Other packages import from here,
`Tracing` for its type alone, and the names from `names`.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from penstock_server.telemetry import events

if TYPE_CHECKING:
    from penstock_server.telemetry.tracing.spans import Tracing as Tracing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def start(environment: Mapping[str, str] = os.environ) -> "Tracing | None":
    """Returns the recorder of spans; None unless the environment names an exporter or an endpoint.

    A service whose traces cannot be exported logs why, and runs without them.
    """
    if not _requested(environment):
        return None
    try:
        from penstock_server.telemetry.tracing.provider import tracing

        return tracing(environment)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError)
        reason = "the extra penstock[otel] is not installed" if missing else str(error)
        events.NO_TRACES.log(reason=reason)
        return None


def _requested(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporter != "none" and any((exporter, *map(environment.get, _ENDPOINTS)))
