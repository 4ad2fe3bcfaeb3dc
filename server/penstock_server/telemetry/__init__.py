"""Telemetry for operators: the log, metrics and traces.

Other packages import from here: the modules `events`, `log` and `trace_context`, the packages
`metrics` and `tracing`, and what this module exports.
"""

from penstock_server.telemetry.episode import QUIET_S, Episode

__all__ = ["QUIET_S", "Episode"]
