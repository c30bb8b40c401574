"""Execution of the shards of the scale gate: in this process, or on Ray workers."""
