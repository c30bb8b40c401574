"""Checks that a model must pass before it is handed out: contamination, sentinels, batched decoding."""
