"""Matching of free-text answers against right and wrong ones."""
