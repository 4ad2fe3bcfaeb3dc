"""The gRPC side: servicers, interceptors, health, reflection, status."""
