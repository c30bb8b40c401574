"""Crash tests: runs that are killed or run out of disk, and end in the same bytes (`pytest -m crash`)."""
