"""HTTP requests, answers as data, errors, and the connection."""
