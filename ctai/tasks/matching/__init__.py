"""Matching of free-text answers against correct and wrong ones."""
