"""Quality control: detectors of faults in responses, and summaries of generated data."""

from ctai.qc.faults import FAULTS, find_faults

__all__ = ["FAULTS", "find_faults"]
