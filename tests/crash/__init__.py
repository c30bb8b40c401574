"""Runs that are killed, refused and starved of disk, and end in the same bytes (`pytest -m crash`)."""
