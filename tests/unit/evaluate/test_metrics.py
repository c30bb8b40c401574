"""Metrics of gate evaluation: what each of them stops."""

import math

import pytest

from ctai.config import RunConfig
from ctai.evaluate.arms import BASE, BASE_FEW_SHOT, SFT
from ctai.evaluate.metrics import comparison_values
from ctai.records import EvaluationSummary, Metric
from tests.support.answers import answers, compare_arms, summarize
from tests.support.thresholds import metrics_of

pytestmark = pytest.mark.unit


def missed(summary: EvaluationSummary) -> list[str]:
    """Names of the metrics that miss their thresholds."""
    return [metric.name for metric in metrics(summary).values() if metric.missed]


def metrics(summary: EvaluationSummary) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics_of(comparison_values(summary, "evaluation.json"))}


def test_a_clear_gain_misses_nothing():
    summary = compare_arms("1000000000", "1111111110")
    assert summary.go
    assert missed(summary) == []
    assert summary.metadata["no_go_reasons"] == []


@pytest.mark.fault(
    29, plant="an adapter that learned the answers and not to stop", check="stop rate and strict success"
)
def test_a_model_that_never_stops_is_no_go():
    summary = compare_arms("1000000000", "1111111110", strict="0000000000")
    assert not summary.go
    assert missed(summary) == ["stop_rate", "strict_p_value", "strict_share"]
    assert summary.overall.p_gain < 1e-9  # content alone would have said GO


def test_a_model_that_stops_too_rarely_is_no_go():
    summary = compare_arms("1000000000", "1111111110", strict="1111111010")
    assert "stop_rate" in missed(summary)


@pytest.mark.fault(29, plant="an adapter worse than three examples in the prompt", check="few-shot non-inferiority")
def test_a_model_that_loses_to_the_few_shot_base_is_no_go():
    summary = compare_arms("1000000000", "1111111000", few_shot="1111111110")
    assert summary.overall.p_gain < 1e-9
    assert "few_shot_non_inferiority" in missed(summary)
    assert summary.rivals[BASE_FEW_SHOT].claim == "inferior"
    assert not summary.go


@pytest.mark.fault(19, plant="an arm that only stops better", check="go needs a gain in content")
def test_learning_to_stop_alone_is_no_go():
    base = answers(BASE, "1100" * 80)
    summary = summarize(base, answers(SFT, "1100" * 80))
    assert "content_lift" in missed(summary)
    assert "content_p_value" in missed(summary)


@pytest.mark.fault(21, plant="a gain read the other way round", check="sign of the lift")
def test_swapped_arms_turn_the_sign():
    forward, backward = compare_arms("1000000000", "1111111000"), compare_arms("1111111000", "1000000000")
    assert backward.overall.lift == -forward.overall.lift
    assert backward.overall.cohens_h == -forward.overall.cohens_h
    assert backward.overall.p_gain == 1.0  # significant, but for the base
    assert {"content_lift", "content_p_value"} <= set(missed(backward))


@pytest.mark.fault(21, plant="an adapter that changes no logit", check="arm check")
def test_arms_that_do_not_differ_are_no_go():
    assert missed(compare_arms("1000000000", "1111111110", logit_difference=0.0)) == ["arm_difference"]


def test_a_wide_interval_is_no_go():
    summary = compare_arms("1000000000", "1111111000", copies=4)
    assert "lift_interval_width" in missed(summary)


def test_guarded_types_that_the_test_set_lacks_are_not_applicable():
    metric = metrics(compare_arms("1000000000", "1111111110"))["guarded_non_inferiority"]
    assert (metric.applicable, metric.passed, metric.missed, metric.n) == (False, False, False, 0)
    assert math.isnan(metric.value)
    assert metric.sentence() == "guarded_non_inferiority not applicable: the test set has no safety or format items"


def test_guarded_types_are_judged_together():
    """80 safety and 80 format items: SFT loses a tenth of each, which neither type alone could show."""
    kinds = "f" * 320 + "s" * 80 + "m" * 80
    few_shot = "0" * 320 + "1" * 160
    sft = "1" * 320 + ("1" * 72 + "0" * 8) * 2
    summary = summarize(
        answers(BASE, "0" * 480, types=kinds),
        answers(SFT, sft, strict=sft, types=kinds),
        rivals={BASE_FEW_SHOT: answers(BASE_FEW_SHOT, few_shot, types=kinds)},
    )
    assert summary.guarded is not None
    assert summary.guarded.n == 160
    assert metrics(summary)["guarded_non_inferiority"].missed


@pytest.mark.parametrize(("word", "regressions"), [("1" * 79 + "0", ()), ("10" * 40, ("word",))])
def test_a_single_type_fails_when_it_is_surely_worse(word, regressions):
    types = "f" * 320 + "w" * 80
    sft = "1" * 320 + word
    summary = summarize(
        answers(BASE, "0" * 400, types=types),
        answers(SFT, sft, strict=sft, types=types),
        rivals={BASE_FEW_SHOT: answers(BASE_FEW_SHOT, "0" * 300 + "1" * 100, types=types)},
    )
    assert summary.regressions == regressions
    assert ("type_regressions" in missed(summary)) == bool(regressions)
    assert summary.rivals[BASE_FEW_SHOT].comparison.lift > 0  # over all items nothing is lost


def test_a_smaller_alpha_needs_more():
    config = RunConfig()
    strict = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"alpha": 1e-60})})
    assert missed(compare_arms("1000000000", "1111111110")) == []
    assert "content_p_value" in compare_arms("1000000000", "1111111110", config=strict).metadata["no_go_reasons"][0]
