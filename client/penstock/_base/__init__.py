"""Parts that both clients share: settings, calls, streams, requests."""
