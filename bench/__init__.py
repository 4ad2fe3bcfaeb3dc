"""The benchmark: Penstock beside what it is compared with, in one run."""
