"""One test per threshold: marks and parametrization of the gate tests, from the registry."""

from collections.abc import Callable

import pytest

from ctai.evidence.result import GateResult
from ctai.records import Metric
from ctai.registry import gate_named

Judge = Callable[[GateResult, str], Metric]


def marks_of(gate: str) -> list[pytest.MarkDecorator]:
    """Return the marks of the tests of a gate; the plugin orders them by the registry."""
    return [pytest.mark.gates, pytest.mark.gate(gate)]


def thresholds_of(gate: str) -> pytest.MarkDecorator:
    """Parametrize a test by the names of the metrics of a gate."""
    return pytest.mark.parametrize("name", gate_named(gate).metric_names)
