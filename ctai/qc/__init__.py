"""Quality control: detectors of faults in responses, and the summary of a dataset."""

from ctai.qc.faults import FAULTS, find_faults

__all__ = ["FAULTS", "find_faults"]
