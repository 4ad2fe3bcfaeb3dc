"""A Penstock under load that a real Prometheus scrapes: the tier `make test-observability`."""
