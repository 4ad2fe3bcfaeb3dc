"""The HTTP side: requests to vLLM, its streams, its failures. Knows nothing of protobuf or gRPC."""
