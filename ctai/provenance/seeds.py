"""Seeds and run ids derived from digests."""

from ctai.rundir import digest_of


def derive_seed(run_seed: int, *parts: str | int) -> int:
    """Derive a 63-bit seed for one item from the seed of the run and the parts that name the item (stage, shard, index)."""
    return int(digest_of([run_seed, *parts])[:16], 16) >> 1


def run_id(*digests: str) -> str:
    """Return the run id: 12 hex digits derived from the digests the run depends on, not from the time."""
    return digest_of(list(digests))[:12]
