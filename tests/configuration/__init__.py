"""The configuration file, and reading it again while the service runs."""
