"""Benchmarks of ctai against other libraries and plain scripts, on the same input in the same run."""
