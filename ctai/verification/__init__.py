"""Verification of a run directory: attestations, verdict chain, and every metric computed again from raw records."""
