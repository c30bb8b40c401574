"""Exact and near-duplicate removal, and decontamination against the held-out set."""

from ctai.generate.dedup.deduplication import deduplicate

__all__ = ["deduplicate"]
