"""One detector of a fault a module; `ctai.qc.faults` runs them all."""
