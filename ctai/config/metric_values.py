"""Computed metric values, and their comparison with thresholds.

Declares no threshold: `ctai.registry` has the fixed ones and names the settings of `ctai.config.schema` for the rest.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ctai.config.schema import RunConfig
from ctai.records import Interval, Metric
from ctai.registry import MetricSpec, gate_named


class MetricValue(NamedTuple):
    """Computed value of a metric, before the comparison with its threshold.

    Attributes:
        value: the number that is compared; nan meets no threshold.
        interval: 95% interval of the value.
        n: size of the sample.
        artifact: the file that it was computed from, relative to the run directory.
        note: limits of the sample.
        applicable: False where there is nothing to measure; allowed for metrics that `may_not_apply`.
    """

    value: float
    interval: Interval | None = None
    n: int | None = None
    artifact: str | None = None
    note: str = ""
    applicable: bool = True


def setting_value(config: RunConfig, key: str) -> Any:
    """Return the value of a setting by its dotted key."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def threshold_of(spec: MetricSpec, config: RunConfig) -> float:
    """Return the threshold of a metric: the value of its setting, or the fixed threshold."""
    return float(setting_value(config, spec.setting)) if spec.setting else spec.threshold


def to_metric(spec: MetricSpec, computed: MetricValue, threshold: float) -> Metric:
    """Return the metric of a row; where a bound of its interval is compared, that is its value.

    The value of a metric that does not apply is nan, without an interval.
    """
    assert computed.applicable or spec.may_not_apply, f"{spec.name} must apply to every run"
    if not computed.applicable:
        computed = computed._replace(value=math.nan, interval=None, n=computed.n or 0)
    interval, value = computed.interval, computed.value
    if interval is not None and spec.bound != "value":
        value = interval.low if spec.bound == "lower" else interval.high
    return Metric(
        name=spec.name,
        value=value,
        comparison=spec.comparison,
        threshold=threshold,
        interval=interval,
        n=computed.n,
        artifact=computed.artifact,
        note=computed.note,
        applicable=computed.applicable,
    )


def gate_metrics(gate: str, config: RunConfig, values: Mapping[str, MetricValue]) -> tuple[Metric, ...]:
    """Return the metrics of a gate, in the order of the registry.

    Args:
        gate: name of the gate.
        config: with the thresholds.
        values: one for every metric of the gate.
    """
    specs = gate_named(gate).metrics
    assert values.keys() == {spec.name for spec in specs}, f"gate {gate}: {sorted(values)}"
    return tuple(to_metric(spec, values[spec.name], threshold_of(spec, config)) for spec in specs)
