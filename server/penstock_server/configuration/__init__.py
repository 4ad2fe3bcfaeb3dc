"""The configuration of the service: options, their sources, and the upstreams."""
