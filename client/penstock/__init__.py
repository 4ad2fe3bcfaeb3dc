"""Client side of Penstock: generated stubs (`penstock.v1`) and channel settings."""
