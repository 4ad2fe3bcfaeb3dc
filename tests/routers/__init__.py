"""Routers that are deployed in front of vLLM; the acceptance suite runs through them."""
