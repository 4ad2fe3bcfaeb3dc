"""Tests of what `deploy/` contains, without the ones that need Prometheus."""
