"""Prompts of requests: messages, media and texts, as tokens within the model's limit."""
