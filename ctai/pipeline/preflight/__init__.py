"""Preflight checks: everything that would stop a run, found in seconds and before anything is paid for."""
