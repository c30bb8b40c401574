"""Acceptance of the embedded model by the metrics of its card.

Owns the requirements of an installation, and the targets that the card reports as met or missed.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_COMPARISONS = {">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt}
_FIELDS = {"rate": "", "value": "", "low": "lower bound ", "high": "upper bound "}


class Criterion(NamedTuple):
    """Bound of one field of a metric.

    Attributes:
        metric: name of the metric.
        field: ``rate`` or ``value``, or a bound of the 95% interval: ``low`` or ``high``.
        comparison: of the field with the bound.
        bound: in the unit of the metric.
    """

    metric: str
    field: str
    comparison: str
    bound: float

    def value(self, metrics: Mapping[str, Any]) -> float | None:
        """Return the measured value; None if it was not measured or had no items."""
        value = metrics.get(self.metric, {}).get(self.field)
        return None if value is None else float(value)

    def is_met(self, metrics: Mapping[str, Any]) -> bool:
        """Return whether the measured value satisfies the comparison."""
        value = self.value(metrics)
        return value is not None and bool(_COMPARISONS[self.comparison](value, self.bound))

    def outcome(self, metrics: Mapping[str, Any]) -> str:
        """Return "met", "missed by" how much, or "not measured", with the value."""
        value = self.value(metrics)
        if value is None:
            return "not measured"
        return f"{_rounded(value)}: " + (
            "met" if self.is_met(metrics) else f"missed by {_rounded(abs(value - self.bound))}"
        )

    def text(self) -> str:
        """Return the demand, such as "lower bound >= 0.75"."""
        return f"{_FIELDS[self.field]}{self.comparison} {self.bound:g}"


def _rounded(value: float) -> str:
    """Return a number to three decimals, without zeros at its end."""
    return f"{round(value, 3):g}"


# A build that misses one of these is not installed: a run on it could not reach its last gate.
REQUIRED = (
    Criterion("facts completed", "rate", ">=", 0.9),
    Criterion("bare instructions answered", "high", "<=", 0.05),
    Criterion("gap from zero-shot to few-shot, held-out", "value", ">", 0.0),
    Criterion("instruction critic: balanced accuracy", "low", ">=", 0.6),
    Criterion("pair critic, held-out: balanced accuracy", "low", ">=", 0.6),
)
_CRITICS = ("pair critic, own asked", "pair critic, own held-out")
# With these every gate of a run has something to decide, at rates that tell a good run from a faulty one.
TARGETS = (
    Criterion("zero-shot content, held-out", "rate", "<=", 0.30),
    Criterion("zero-shot content, held-out", "high", "<", 0.40),
    Criterion("raw, held-out", "rate", "<=", 0.20),
    Criterion("few-shot, held-out", "rate", ">=", 0.50),
    Criterion("few-shot, held-out", "rate", "<=", 0.80),
    Criterion("instructions well-formed", "rate", ">=", 0.80),
    Criterion("instructions distinct", "rate", ">=", 0.70),
    Criterion("instructions new to the corpus", "rate", ">=", 0.15),
    Criterion("instruction critic: balanced accuracy", "rate", ">=", 0.9),
    Criterion("purity before the critics", "rate", ">=", 0.60),
    Criterion("purity before the critics", "rate", "<=", 0.75),
    *(Criterion(f"{critic}: balanced accuracy", "low", ">=", 0.75) for critic in _CRITICS),
    *(Criterion(f"{critic}: bad ones accepted", "rate", "<=", 0.10) for critic in _CRITICS),
    *(Criterion(f"{critic}: good ones accepted", "rate", ">=", 0.77) for critic in _CRITICS),
    *(Criterion(f"{critic}: bad among those rejected with confidence", "rate", ">=", 0.93) for critic in _CRITICS),
    Criterion("purity after the critics", "rate", ">=", 0.92),
    Criterion("SFT over few-shot, held-out", "rate", ">=", 0.12),
    Criterion("SFT stops, held-out", "low", ">=", 0.95),
    Criterion("SFT, held-out", "rate", ">=", 0.50),
    Criterion("SFT, held-out", "rate", "<=", 0.85),
    Criterion("after SFT: items mixed at 4 samples", "rate", ">=", 0.25),
    Criterion("response length, median tokens", "value", ">=", 5),
    Criterion("response length, median tokens", "value", "<=", 30),
    Criterion("test set: items", "value", ">=", 800),
    Criterion("test set: items of the smallest type", "value", ">=", 30),
    Criterion("test set: families of the type with fewest", "value", ">=", 3),
)


def misses(criteria: Iterable[Criterion], metrics: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each criterion that the metrics of one precision do not meet."""
    return [
        f"{criterion.metric} ({criterion.text()}): {criterion.outcome(metrics)}"
        for criterion in criteria
        if not criterion.is_met(metrics)
    ]
