"""Values of metrics held against the thresholds of a configuration, for tests of single value functions."""

from collections.abc import Mapping

from ctai.config import MetricValue, RunConfig, threshold_of, to_metric
from ctai.records import Metric
from ctai.registry import metric_spec


def metrics_of(values: Mapping[str, MetricValue], config: RunConfig | None = None) -> list[Metric]:
    """Return the metrics of some values, in their order."""
    specs = {name: metric_spec(name) for name in values}
    return [
        to_metric(specs[name], value, threshold_of(specs[name], config or RunConfig()))
        for name, value in values.items()
    ]
