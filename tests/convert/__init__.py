"""Conversions between messages and JSON, without any server."""
