"""Verification of a run directory: attestations, verdict chain, and every metric recomputed from raw records."""
