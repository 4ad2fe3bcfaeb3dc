"""Each operation against a simulator that records its requests and can misbehave."""
