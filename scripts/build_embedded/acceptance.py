"""Acceptance criteria of the embedded model, on the metrics of its build; a build that misses one is not installed."""

from collections.abc import Mapping
from typing import Any

# metric, field of its rate, comparison, bound
CRITERIA = (
    ("facts completed", "rate", ">=", 0.9),
    ("bare instructions answered", "high", "<=", 0.05),
    ("instructions well-formed", "low", ">=", 0.5),
    ("instructions distinct", "low", ">=", 0.8),
    ("instruction critic: balanced accuracy", "rate", ">=", 0.9),
    ("pair critic, held-out: balanced accuracy", "low", ">=", 0.6),
)


def failed_criteria(metrics: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each criterion that the metrics of one precision miss."""
    failures = [
        f"{name}: {field} {metrics[name][field]:.3f} must be {comparison} {bound}"
        for name, field, comparison, bound in CRITERIA
        if not (metrics[name][field] >= bound if comparison == ">=" else metrics[name][field] <= bound)
    ]
    few_shot, zero_shot = metrics["few-shot, held-out"], metrics["zero-shot content, held-out"]
    if not few_shot["low"] > zero_shot["high"]:
        failures.append("few-shot is not clearly better than zero-shot: training would have no gap to close")
    return failures
