"""Tests of the files in `deploy/`, except those that need Prometheus."""
