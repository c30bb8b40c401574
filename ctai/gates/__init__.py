"""Gates, one module each: computation of its artifacts and of its metrics. The registry of gates is `ctai.registry`."""
