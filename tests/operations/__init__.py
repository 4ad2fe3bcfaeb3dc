"""Each operation against a simulator that can be asked what it was sent, and can misbehave."""
