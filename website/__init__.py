"""The documentation site: its pages are gathered, generated and built by `make docs`."""
