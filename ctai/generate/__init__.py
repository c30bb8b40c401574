"""Generation: instructions, responses, the critic of both, deduplication, shards and their merging."""
