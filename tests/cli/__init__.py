"""Tests of the command line in subprocesses."""
