"""Tests of the pages; they run the commands."""
