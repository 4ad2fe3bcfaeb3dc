"""A module that is imported, but not used."""
