"""TODO module docstring."""

from ctai.rundir import digest_of


def derive_seed(run_seed: int, *parts: str | int) -> int:
    """A seed of 63 bits for one item, from the run's seed and what names the item (stage, shard, index)."""
    return int(digest_of([run_seed, *parts])[:16], 16) >> 1


def run_id(*digests: str) -> str:
    """12 hex digits that name a run by the digests it depends on (configuration, code, ...), not by time."""
    return digest_of(list(digests))[:12]
