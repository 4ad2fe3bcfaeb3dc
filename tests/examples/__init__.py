"""Tests that build and run the example clients."""
