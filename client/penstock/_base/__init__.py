"""What the two clients share: settings, calls, streams, requests."""
