"""Metrics of gate headroom: the gap of the base, its hard limit, and the reference model."""

import math
from pathlib import Path

import pytest

from ctai.config import RunConfig, gate_metrics
from ctai.evaluate.arms import BASE, BASE_REPARTITIONED, REFERENCE
from ctai.gates.headroom import headroom_values
from ctai.records import EvaluationItem, Metric
from ctai.registry import RIVALS
from ctai.rundir import RunDir

pytestmark = pytest.mark.unit

N = 400


def answers(arm: str, correct: int, n: int = N, split: str = "asked") -> list[EvaluationItem]:
    return [
        EvaluationItem.model_validate(
            {
                "arm": arm, "item": i, "family": f"family {i % 20}", "type": "fact", "split": split, "instruction": "x?",
                "prompt": "x?", "response": "", "raw": "", "finish_reason": "eos", "content": i < correct,
                "strict": False, "stopped": True, "failure_reason": "runs on", "tokens": 1, "prompt_tokens": 2,
            }
        )
        for i in range(n)
    ]  # fmt: skip


def judged(correct: int, *settings: str, **other: list[EvaluationItem]) -> dict[str, Metric]:
    """Return the metrics of a base with this number of correct answers."""
    config = RunConfig.load("pod", settings)
    items = {name: answers(name, correct) for name in (*RIVALS, BASE_REPARTITIONED)} | other
    values = headroom_values(items, RunDir(Path("run").absolute()), config)
    return {metric.name: metric for metric in gate_metrics("headroom", config, values)}


def missed(metrics: dict[str, Metric]) -> set[str]:
    return {name for name, metric in metrics.items() if metric.missed}


def test_a_base_with_a_clear_gap_passes():
    metrics = judged(80)
    assert missed(metrics) == set()
    assert metrics["base_formatted_content"].value == 0.2
    assert 0.2 < metrics["base_formatted_content_upper"].value < 0.3


@pytest.mark.parametrize(
    ("correct", "names"),
    [
        (124, {"base_formatted_content"}),
        (200, {"base_formatted_content", "base_formatted_content_upper"}),
        (240, {"base_formatted_content", "base_formatted_content_upper", "base_formatted_content_limit"}),
    ],
)
def test_a_base_that_answers_too_much_fails(correct, names):
    assert missed(judged(correct)) == names


def test_the_upper_bound_fails_where_the_sample_is_too_small():
    few = {name: answers(name, 11, n=40) for name in (*RIVALS, BASE_REPARTITIONED)}
    assert missed(judged(0, **few)) == {"base_formatted_content_upper"}


def test_both_limits_may_be_relaxed_by_name_up_to_the_hard_one():
    relaxed = ("headroom.max_base=0.599", "headroom.max_base_upper=0.7")
    assert missed(judged(232, *relaxed)) == set()
    assert missed(judged(240, *relaxed, "headroom.max_base_upper=0.99")) == {
        "base_formatted_content", "base_formatted_content_limit",
    }  # fmt: skip


def test_items_of_unseen_families_do_not_count():
    mixed = {
        name: answers(name, 80) + answers(name, 100, n=100, split="unseen") for name in (*RIVALS, BASE_REPARTITIONED)
    }
    metric = judged(0, **mixed)["base_formatted_content"]
    assert (metric.value, metric.n) == (0.2, N)


def test_the_note_has_every_rival_with_its_interval():
    items = {"base_raw": answers("base_raw", 4), "base_restyled": answers("base_restyled", 300)}
    note = judged(80, **items)["base_formatted_content"].note
    assert "base_raw 0.010 [" in note
    assert "base_few_shot 0.200 [" in note
    assert "base_restyled 0.750 [" in note
    assert note.endswith("base against base in other batches differs on 0.000")


def test_without_a_reference_its_metric_does_not_apply():
    metric = judged(80)["reference_content"]
    assert not metric.applicable
    assert not metric.missed
    assert math.isnan(metric.value)
    assert "names no model" in metric.sentence()


@pytest.mark.parametrize(("correct", "is_missed"), [(290, True), (270, True), (340, False)])
def test_a_reference_is_held_to_its_lower_bound(correct, is_missed):
    reference = {REFERENCE: answers(REFERENCE, correct)}
    metric = judged(80, "headroom.reference=someone/instruct", **reference)["reference_content"]
    assert metric.applicable
    assert metric.missed == is_missed
    assert metric.artifact == "results/headroom/reference/items.jsonl"


def test_a_reference_that_is_not_required_is_only_reported():
    reference = {REFERENCE: answers(REFERENCE, 20)}
    settings = ("headroom.reference=someone/instruct", "headroom.reference_required=false")
    metric = judged(80, *settings, **reference)["reference_content"]
    assert not metric.applicable
    assert "someone/instruct 0.050 [" in metric.sentence()


def test_the_base_arm_itself_is_judged():
    items = {BASE: answers(BASE, 300), BASE_REPARTITIONED: answers(BASE_REPARTITIONED, 300)}
    assert "base_formatted_content_limit" in missed(judged(80, **items))
