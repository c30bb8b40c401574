"""Benchmarks: each compares what ctai does with what a user would write instead, on the same input in the same run."""
