"""The example clients, built and run."""
