"""Texts that obey what a request demands: a schema, a pattern, a choice or a grammar."""
