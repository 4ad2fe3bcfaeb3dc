"""The benchmark: measures Penstock and other servers in one run."""
