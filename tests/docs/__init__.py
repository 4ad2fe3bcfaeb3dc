"""The pages, whose commands are run."""
