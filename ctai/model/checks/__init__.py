"""Checks that a model must pass before use: contamination, sentinels, batched decoding."""
