"""Pure functions between our messages and vLLM's JSON. No I/O; knows only the generated code."""
