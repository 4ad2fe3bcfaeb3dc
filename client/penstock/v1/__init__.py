"""Generated stubs of the API; see protos/."""
