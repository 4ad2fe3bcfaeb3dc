"""Conversions between messages and JSON, without servers."""
