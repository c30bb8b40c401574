"""One module a gate: what it computes and which metrics it reports. The registry of gates is `ctai.registry`."""
