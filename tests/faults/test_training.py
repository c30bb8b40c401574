"""Faults in training and evaluation of a run."""

import pytest

from ctai.prompts import CompletionStylePrompts
from ctai.records import EvaluationItem
from ctai.rundir import read_jsonl
from ctai.tasks import registry
from tests.faults.runs import RunCopy, said_by, stopped

pytestmark = pytest.mark.faults

ONE_LOOK = ("--set", "evaluation.retries=0")


@pytest.mark.fault(
    19, plant="responses swapped among instructions, each of a good length", check="gate evaluation: scorers"
)
def test_answers_of_the_right_length_and_the_wrong_content_fail(copy: RunCopy, says) -> None:
    done = copy.gates("--control", "shuffled", "--set", "training.epochs=1", *ONE_LOOK)
    stopped(copy, done, "evaluation", "content_lift")
    says(said_by(done, "evaluation", "content_lift"))
    items = read_jsonl(copy.rundir.results_dir / "sft_items.jsonl", EvaluationItem)
    by_length = sum(1 <= len(item.response) <= 500 for item in items)
    assert by_length > 0.95 * len(items), "they are of no good length, so this shows nothing"


@pytest.mark.fault(
    21, plant="training that changes nothing: the SFT arm is the base", check="gate evaluation: arm_difference"
)
def test_two_arms_that_are_one_model_fail(copy: RunCopy, says) -> None:
    nothing = ("--set", "training.learning_rate=1e-30", "--set", "training.epochs=0.1")
    done = copy.gates(*nothing, *ONE_LOOK)
    stopped(copy, done, "evaluation", "arm_difference", "content_lift")
    says(said_by(done, "evaluation", "arm_difference"))


@pytest.mark.fault(
    29,
    plant="3, 7 and 10 optimizer steps: right answers that run on, fewer than with examples in the prompt",
    check="gate evaluation: stop_rate, strict_share and few_shot_non_inferiority",
)
@pytest.mark.parametrize(
    ("epochs", "metrics"),
    [
        ("0.03", ("stop_rate", "strict_p_value", "strict_share", "few_shot_non_inferiority")),
        ("0.09", ("stop_rate", "few_shot_non_inferiority")),
        ("0.12", ("stop_rate", "few_shot_non_inferiority")),
    ],
)
def test_an_undertrained_adapter_fails(copy: RunCopy, says, epochs: str, metrics: tuple[str, ...]) -> None:
    done = copy.gates("--set", f"training.epochs={epochs}", *ONE_LOOK)
    stopped(copy, done, "evaluation", *metrics)
    says("; ".join(said_by(done, "evaluation", metric) for metric in metrics))


@pytest.mark.fault(
    22, plant="the base's own run-ons, and what they would score when cleaned", check="scoring of raw output"
)
def test_the_base_is_judged_on_all_that_it_wrote(copy: RunCopy, says) -> None:
    items = read_jsonl(copy.rundir.results_dir / "base_items.jsonl", EvaluationItem)
    raw = [registry.score(item.instruction, item.raw, item.finish_reason) for item in items]
    cleaned = [
        registry.score(item.instruction, CompletionStylePrompts.clean_response(item.raw), "eos") for item in items
    ]
    assert [(one.content, one.strict) for one in raw] == [(item.content, item.strict) for item in items]
    flattered = sum(one.strict for one in cleaned) - sum(one.strict for one in raw)
    assert flattered > len(items) / 4, "cleaning would have changed nothing, so this shows nothing"
    says(f"{flattered} of {len(items)} answers would have been strict successes after cleaning, and are none")
