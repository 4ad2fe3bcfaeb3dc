"""Tiny models, made from fixed seeds, that make a real vLLM answer in seconds on a CPU."""
