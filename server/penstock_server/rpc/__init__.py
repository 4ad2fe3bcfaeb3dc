"""The gRPC side: servers, services, middleware, calls, statuses."""
