"""Orchestration of a run: options, preflight, budget, executor, and the state that gates share."""
