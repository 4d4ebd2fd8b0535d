"""Benchmarks: `make bench`. Each prints what was measured and what it is measured against, in the same run."""
