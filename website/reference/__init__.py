"""Reference pages that are generated from the code and the protos."""
