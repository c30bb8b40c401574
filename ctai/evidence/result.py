"""Result of a gate: its metrics, bound to the artifacts that they were computed from."""

from typing import NamedTuple

from ctai.records import Metric


class GateResult(NamedTuple):
    """Metrics and artifacts of a gate.

    Attributes:
        gate: name of the gate.
        metrics: metrics of the gate, each of which one test asserts.
        artifacts: SHA-256 of each artifact, by its path relative to the run directory.
        weights_digest: digest of the weights of the base model.
        notes: remarks for the verdict that no threshold applies to.
        claim: statement of the result against the strongest rival; empty for a gate that compares none.
    """

    gate: str
    metrics: tuple[Metric, ...]
    artifacts: dict[str, str]
    weights_digest: str
    notes: tuple[str, ...] = ()
    claim: str = ""

    def metric(self, name: str) -> Metric:
        """Return the metric of that name."""
        return next(metric for metric in self.metrics if metric.name == name)
