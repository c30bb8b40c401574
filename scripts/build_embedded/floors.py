"""What the embedded model must do, by the metrics of its build; a build that falls short is not installed."""

from collections.abc import Mapping
from typing import Any

# metric, field of its rate, at least or at most, bound
FLOORS = (
    ("facts completed", "rate", ">=", 0.9),
    ("bare instructions answered", "high", "<=", 0.05),
    ("instructions well-formed", "low", ">=", 0.5),
    ("instructions distinct", "low", ">=", 0.8),
    ("instruction critic: balanced accuracy", "rate", ">=", 0.9),
    ("pair critic, held-out: balanced accuracy", "low", ">=", 0.6),
)


def shortfalls(metrics: Mapping[str, Any]) -> list[str]:
    """What one precision's metrics lack, a sentence each; empty when they are good enough."""
    found = [
        f"{name}: {field} {metrics[name][field]:.3f} must be {comparison} {bound}"
        for name, field, comparison, bound in FLOORS
        if not (metrics[name][field] >= bound if comparison == ">=" else metrics[name][field] <= bound)
    ]
    few_shot, zero_shot = metrics["few-shot, held-out"], metrics["zero-shot content, held-out"]
    if not few_shot["low"] > zero_shot["high"]:
        found.append("few-shot is not clearly better than zero-shot: training would have no gap to close")
    return found
