"""Texts that match the constraint of a request: a schema, a pattern, a choice or a grammar."""
