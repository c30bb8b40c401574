"""Form of the rows of the registry: metrics, gates, and settings that a run may relax."""

from typing import Literal, NamedTuple

Comparison = Literal["<", "<=", ">", ">=", "=="]
Bound = Literal["value", "lower", "upper"]


class MetricSpec(NamedTuple):
    """One metric of a gate.

    Attributes:
        name: as in verdicts, tests and JUnit.
        comparison: operator between value and threshold.
        setting: dotted key of the setting that holds the threshold; empty for a fixed threshold.
        meaning: description of the metric, or of a met threshold.
        remedy: advice for a missed threshold; no remedy loosens a threshold.
        threshold: the fixed threshold, where no setting holds one.
        bound: `lower` or `upper` where that end of the 95% interval is compared instead of the point value.
        is_preregistered: a looser setting is reported as a relaxed threshold.
        is_key: the summary of a session shows the metric also when its gate passes.
        limits: what a met threshold does not show.
        may_not_apply: where a run has nothing to measure, the metric is reported as not applicable and decides nothing.
    """

    name: str
    comparison: Comparison
    setting: str = ""
    meaning: str = ""
    remedy: str = ""
    threshold: float = 0.0
    bound: Bound = "value"
    is_preregistered: bool = True
    is_key: bool = False
    may_not_apply: bool = False
    limits: str = ""


class GateSpec(NamedTuple):
    """One gate.

    Attributes:
        number: position in the order of the run.
        name: as in verdicts and JUnit.
        title: claim that the gate proves.
        metrics: metrics that must all meet their thresholds.
        sections: parts of the configuration that it depends on, besides those of the gates before it.
        outputs: glob patterns of its files in the run directory.
    """

    number: str
    name: str
    title: str
    metrics: tuple[MetricSpec, ...]
    sections: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics, in order."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def optional_metrics(self) -> frozenset[str]:
        """Names of the metrics that may be not applicable."""
        return frozenset(metric.name for metric in self.metrics if metric.may_not_apply)


class RelaxableSetting(NamedTuple):
    """A setting that affects the outcome of a gate, or the weight of its claim.

    Attributes:
        key: dotted key.
        looser: direction in which values are looser.
        reason: effect of a looser value on the claim, where it is no threshold of a metric.
    """

    key: str
    looser: Literal["higher", "lower", "different"]
    reason: str = ""
