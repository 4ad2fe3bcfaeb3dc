"""The wire formats of older vLLMs: the changes between versions, undone."""
