"""Gate contamination: the weights are a clean base model in completion mode."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("contamination")


@thresholds_of("contamination")
def test_threshold(base_model: GateResult, judge: Judge, name: str) -> None:
    """The metric meets its threshold."""
    metric = judge(base_model, name)
    assert metric.passed, metric.sentence()
