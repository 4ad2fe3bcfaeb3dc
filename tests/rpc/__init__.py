"""Tests of the gRPC server over real sockets."""
