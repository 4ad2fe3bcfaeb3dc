"""Tests of the communication with upstreams."""
