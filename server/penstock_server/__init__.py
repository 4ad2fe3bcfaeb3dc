"""The Penstock service: gRPC in front of vLLM."""
