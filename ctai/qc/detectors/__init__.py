"""Fault detectors, one per module; `ctai.qc.faults` runs them all."""
