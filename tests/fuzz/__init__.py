"""Generated requests, answers and streams."""
