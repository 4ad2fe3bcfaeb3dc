"""The calls that count as faults."""

FAULTS = 'grpc_code=~"Unknown|Internal|Unavailable|DataLoss"'
"""Matches the codes of calls that failed through no fault of their callers."""
