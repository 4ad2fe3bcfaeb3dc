"""A package that is imported, but not used."""
