"""Tests of the gRPC side, over real sockets."""
