"""Requests, answers and streams that nobody thought of."""
