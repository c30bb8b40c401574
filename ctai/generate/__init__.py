"""Data generation: instructions, responses, their critic, deduplication, shards and their merge."""
