"""Telemetry for operators: the log, metrics and traces."""
