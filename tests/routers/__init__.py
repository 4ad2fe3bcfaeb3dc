"""The programs that people put before vLLM, for the acceptance suite to run through."""
