"""TODO module docstring."""

from typing import NamedTuple

from ctai.records import Metric


class GateResult(NamedTuple):
    """What a gate's fixture made and measured: the metrics its tests assert, and the artifacts they come from."""

    gate: str
    metrics: tuple[Metric, ...]
    artifacts: dict[str, str]
    weights_digest: str
    notes: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric:
        """The metric of that name."""
        return next(metric for metric in self.metrics if metric.name == name)
