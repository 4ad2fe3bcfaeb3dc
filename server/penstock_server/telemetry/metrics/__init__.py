"""Metrics for Prometheus: their names, their values, and the address that serves them."""
