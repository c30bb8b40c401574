"""Gate contamination: the weights are a clean base model in completion mode."""

from ctai.evidence.result import GateResult

from .thresholds import Judge, marks_of, thresholds_of

pytestmark = marks_of("contamination")


@thresholds_of("contamination")
def test_threshold(base_model: GateResult, judge: Judge, metric: str) -> None:
    """The metric meets its threshold."""
    measured = judge(base_model, metric)
    assert measured.passed, measured.sentence()
