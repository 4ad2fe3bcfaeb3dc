"""How older vLLMs spoke: what changed from version to version, undone."""
