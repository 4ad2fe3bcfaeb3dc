"""Requests as they come, answers as data on their way out, refusals, and the connection."""
