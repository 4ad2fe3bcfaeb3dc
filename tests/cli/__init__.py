"""Tests of the command line, as subprocesses."""
