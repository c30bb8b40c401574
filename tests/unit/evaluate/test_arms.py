"""Evaluation: what counts as success, that the arms are what they are called, and what the summary says."""

import random
from pathlib import Path

import numpy as np
import pytest

from ctai.config import EvaluationSettings, RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.arms import (
    BASE,
    BASE_FEW_SHOT,
    SFT,
    Arm,
    ArmResult,
    arm_check,
    base_arm,
    evaluate_arm,
    few_shot_arm,
    next_token_logprobs,
    repartitioned_arm,
    sft_arm,
)
from ctai.evaluate.comparison import (
    NO_REGRESSION,
    NOT_APPLICABLE,
    REGRESSION,
    ArmAnswers,
    ArmIdentity,
    regression_metric,
    summarize_evaluation,
    summary_text,
    write_evaluation,
)
from ctai.progress import SilentProgress
from ctai.prompts import DELIMITER, CompletionStylePrompts
from ctai.model.devices import compute_stack
from ctai.records import EvaluationItem, EvaluationSummary, HeldoutItem, ModelProvenance
from ctai.rundir import RunDir, read_jsonl, read_record
from ctai.tasks.registry import by_name
from ctai.tasks.seeds import few_shot_examples
from tests.support.context import stage_context
from tests.support.scripted import END_OF_TEXT, ScriptedEngine

pytestmark = pytest.mark.unit

CONFIG = RunConfig(evaluation=EvaluationSettings(max_new_tokens=20, bootstrap_samples=999))
ARMS = {BASE: "a" * 64, SFT: "b" * 64}
CAPITAL = by_name("capital")


def provenance(**update) -> ModelProvenance:
    values = {
        "loader_version": "0",
        "requested": "tiny",
        "model_id": "tiny",
        "revision": None,
        "weights_digest": ARMS[BASE],
        "tokenizer_digest": "t",
        "architecture": "Scripted",
        "parameters": 0,
        "requested_quantization": "none",
        "quantization": "none",
        "double_quantization": False,
        "compute_dtype": "float32",
        "device": "cpu",
        "template_disabled": True,
        "template_was_present": False,
        "add_special_tokens": False,
        "bos_allowed": False,
        "special_token_delta": 0,
        "control_token_ids": (),
        "control_tokens": (),
    }
    return ModelProvenance(**{**values, **update})


class ScriptedModel:
    """A scripted engine with a provenance; `fails_at` raises instead of answering that batch."""

    def __init__(self, complete, **update):
        self.engine = ScriptedEngine(complete)
        self.provenance = provenance(**update)


def heldout(count: int = 10) -> list[HeldoutItem]:
    return [
        HeldoutItem(item=i, family="capital", type=CAPITAL.type, key=key, instruction=CAPITAL.render(key, 0))
        for i, key in enumerate(CAPITAL.keys[:count])
    ]


def right_answer(prompt: str) -> str:
    instruction = prompt.rsplit("Instruction: ", 1)[1].removesuffix("\nResponse:")
    return f" {CAPITAL.answer(CAPITAL.parse(instruction))}"


def evaluated(root: Path, model, arm: Arm, items=None, progress=None, folder: str = "arm") -> ArmResult:
    rundir = RunDir.open(root)
    context = stage_context(rundir, CONFIG, progress)
    return evaluate_arm(model, arm, items or heldout(), context, rundir.path("results", folder))


@pytest.fixture
def evaluate(tmp_path):
    def run(model, arm: Arm, items=None, progress=None) -> list[EvaluationItem]:
        return evaluated(tmp_path / "run", model, arm, items, progress).items

    return run


# -- arms ----------------------------------------------------------------------------------------------------


def test_a_right_answer_with_a_stop_counts_twice(evaluate):
    answers = evaluate(ScriptedModel(right_answer), base_arm(CONFIG))
    assert all(a.content and a.strict and a.failure_reason == "" for a in answers)
    assert {a.finish_reason for a in answers} == {"eos"}
    assert [a.instruction for a in answers] == [item.instruction for item in heldout()]


@pytest.mark.fault(22, plant="an answer that is right once cleaned", check="strict success on raw output")
@pytest.mark.fault(18, plant="an answer that is right and runs on", check="strict success on raw output")
def test_a_run_on_counts_for_content_and_not_strictly(evaluate):
    """The base arm has no stop strings and is not cleaned before it is judged."""
    model = ScriptedModel(lambda prompt: right_answer(prompt) + "\n\nInstruction: Name a colour.\nResponse: Red")
    for answer in evaluate(model, base_arm(CONFIG)):
        assert answer.content
        assert not answer.strict
        assert answer.failure_reason == "runs on"
        assert "Instruction: Name" in answer.raw
        assert answer.response == CompletionStylePrompts.clean_response(answer.raw)


def test_an_answer_that_hits_the_budget_is_not_strict(evaluate):
    answer = evaluate(ScriptedModel(lambda p: right_answer(p) + "\n\n" + "and so on " * 30), base_arm(CONFIG))[0]
    assert (answer.content, answer.strict, answer.finish_reason) == (True, False, "length")
    assert answer.tokens == CONFIG.evaluation.max_new_tokens


@pytest.mark.fault(19, plant="a fluent short answer that is wrong", check="scorers of content")
def test_a_wrong_answer_names_its_fault(evaluate):
    answer = evaluate(ScriptedModel(lambda prompt: " A blue whale"), base_arm(CONFIG))[0]
    assert not answer.content
    assert not answer.strict
    assert answer.failure_reason not in ("", "runs on")


def test_compared_arms_ask_the_same_and_few_shot_asks_with_examples(evaluate):
    examples = few_shot_examples(3, random.Random(0))
    base, sft, shots = ScriptedModel(right_answer), ScriptedModel(right_answer), ScriptedModel(right_answer)
    evaluate(base, base_arm(CONFIG))
    evaluate(sft, sft_arm(CONFIG))
    answers = evaluate(shots, few_shot_arm(CONFIG, examples))
    assert base.engine.prompts == sft.engine.prompts
    assert base.engine.prompts == [CompletionStylePrompts.zero_shot(item.instruction) for item in heldout()]
    assert all(prompt.startswith(CompletionStylePrompts.few_shot_prefix(examples)) for prompt in shots.engine.prompts)
    assert [a.prompt for a in answers] == shots.engine.prompts


def test_few_shot_stops_at_the_delimiter(evaluate):
    model = ScriptedModel(lambda prompt: right_answer(prompt) + f"\n{DELIMITER}\n\nInstruction: more")
    answer = evaluate(model, few_shot_arm(CONFIG, few_shot_examples(3, random.Random(0))))[0]
    assert (answer.arm, answer.finish_reason, answer.content) == (BASE_FEW_SHOT, "stop", True)
    assert "Instruction" not in answer.raw
    assert answer.raw.endswith("\n###")
    assert not answer.response.endswith("#")


def test_the_start_of_the_delimiter_is_no_part_of_a_list(evaluate):
    fruits = by_name("list")
    key = fruits.keys[0]
    item = HeldoutItem(item=0, family="list", type=fruits.type, key=key, instruction=fruits.render(key, 0))
    model = ScriptedModel(lambda prompt: f" {fruits.answer(key)}\n{DELIMITER}")
    examples = few_shot_examples(3, random.Random(0))
    assert evaluate(model, few_shot_arm(CONFIG, examples), [item])[0].content


def test_repartitioned_arm_differs_in_its_batches_alone():
    base, again = base_arm(CONFIG), repartitioned_arm(CONFIG)
    assert again.batch_size not in (0, base.batch_size)
    assert (again.prompt, again.stop) == (base.prompt, base.stop)
    one = RunConfig(model=CONFIG.model.model_copy(update={"batch_size": 1}))
    assert repartitioned_arm(one).batch_size != base_arm(one).batch_size


class StopsAfterBatches(SilentProgress):
    """Interrupts after a number of batches."""

    def __init__(self, batches: int):
        self.left = batches

    def advance(self, n: int = 1, note: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise CtaiError("time limit")


def test_an_interrupted_arm_resumes_at_the_next_batch(evaluate, tmp_path):
    model, arm = ScriptedModel(right_answer), Arm(BASE, 4)
    with pytest.raises(CtaiError, match="time limit"):
        evaluate(model, arm, progress=StopsAfterBatches(2))
    assert len(model.engine.prompts) == 8
    answers = evaluate(model, arm)
    assert len(model.engine.prompts) == 10
    other = ScriptedModel(right_answer)
    assert evaluated(tmp_path / "other", other, arm).items == answers


def test_an_arm_lies_where_it_is_told_to_and_says_whether_it_was_there(tmp_path):
    first, again, elsewhere = (ScriptedModel(right_answer) for _ in range(3))
    made = evaluated(tmp_path, first, base_arm(CONFIG), folder="headroom/base")
    assert not made.reused
    assert read_jsonl(tmp_path / "results/headroom/base/items.jsonl", EvaluationItem) == made.items
    assert evaluated(tmp_path, again, base_arm(CONFIG), folder="headroom/base") == ArmResult(made.items, reused=True)
    assert again.engine.prompts == []
    assert not evaluated(tmp_path, elsewhere, base_arm(CONFIG), folder="other").reused


@pytest.mark.parametrize(
    "update", [{"tokenizer_digest": "u"}, {"quantization": "nf4"}, {"device": "mps"}, {"bos_allowed": True}], ids=str
)
def test_another_way_to_compute_is_another_arm(tmp_path, update):
    evaluated(tmp_path, ScriptedModel(right_answer), base_arm(CONFIG))
    assert not evaluated(tmp_path, ScriptedModel(right_answer, **update), base_arm(CONFIG)).reused


def test_an_answer_that_ends_a_turn_is_not_strict(evaluate):
    answer = evaluate(ScriptedModel(right_answer, control_token_ids=(END_OF_TEXT,)), base_arm(CONFIG))[0]
    assert (answer.content, answer.strict, answer.failure_reason) == (True, False, "chat-control token")


@pytest.mark.parametrize("what", ["device", "torch", "bitsandbytes"])
def test_answers_from_another_machine_are_given_again(tmp_path, monkeypatch, what):
    model = ScriptedModel(right_answer)
    assert not evaluated(tmp_path, model, base_arm(CONFIG)).reused
    assert evaluated(tmp_path, model, base_arm(CONFIG)).reused
    elsewhere = {**compute_stack("cpu"), what: "another"}
    monkeypatch.setattr("ctai.evaluate.arms.compute_stack", lambda _device: elsewhere)
    assert not evaluated(tmp_path, model, base_arm(CONFIG)).reused


def test_a_finished_arm_is_reused_and_another_model_is_not(evaluate):
    first, second, adapted = (
        ScriptedModel(right_answer),
        ScriptedModel(lambda prompt: " Nowhere"),
        ScriptedModel(lambda prompt: " Nowhere", adapter_digest="c" * 64),
    )
    answers = evaluate(first, base_arm(CONFIG))
    assert evaluate(second, base_arm(CONFIG)) == answers
    assert second.engine.prompts == []
    assert not any(a.content for a in evaluate(adapted, base_arm(CONFIG)))
    assert len(adapted.engine.prompts) == 10


# -- arm check -----------------------------------------------------------------------------------------------


def test_arm_check_finds_equal_and_different_arms(tiny_model):
    prompts = [CompletionStylePrompts.zero_shot(item.instruction) for item in heldout(3)]
    size = len(tiny_model.tokenizer)
    base = next_token_logprobs(tiny_model, prompts, size)
    assert base.shape == (3, size)
    assert arm_check(base, next_token_logprobs(tiny_model, prompts, size)) == 0
    changed = base.copy()
    changed[1, 7] += 0.25
    assert arm_check(base, changed) == pytest.approx(0.25)
    assert arm_check(changed, base) == pytest.approx(0.25)


def test_arm_check_refuses_what_it_cannot_compare():
    some = np.zeros((2, 3))
    with pytest.raises(CtaiError, match="cannot be told apart"):
        arm_check(some, np.zeros((2, 4)))
    with pytest.raises(CtaiError, match="cannot be told apart"):
        arm_check(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(CtaiError, match="not finite"):
        arm_check(some, np.full((2, 3), np.nan))
    impossible = np.array([[-np.inf, -1.0]])
    assert arm_check(impossible, impossible + np.array([[0.0, 0.5]])) == 0.5


# -- summary -------------------------------------------------------------------------------------------------


def answers(arm: str, content: str, strict: str = "", types: str = "") -> list[EvaluationItem]:
    """One answer for each character: `1` is a success; `types` has a letter for each item's type."""
    strict = strict or "0" * len(content)
    names = {"f": "fact", "s": "safety", "m": "format", "w": "word"}
    return [
        EvaluationItem(
            arm=arm,
            item=i,
            family="capital",
            type=names[types[i] if types else "f"],
            instruction=f"instruction {i}",
            prompt=f"prompt {i}",
            response="",
            raw="",
            finish_reason="eos" if strict[i] == "1" else "length",
            content=content[i] == "1",
            strict=strict[i] == "1",
            failure_reason="" if strict[i] == "1" else "runs on" if content[i] == "1" else "wrong answer",
            tokens=1,
        )
        for i in range(len(content))
    ]


def summarize(base, sft, **update) -> EvaluationSummary:
    answers = ArmAnswers(base, sft, update.pop("baselines", {}), update.pop("noise_items", base))
    identity = ArmIdentity(update.pop("arms", ARMS), update.pop("logit_difference", 3.5))
    return summarize_evaluation(answers, identity, **{"config": CONFIG, "run_id": "run", **update})


def test_numbers_of_a_small_example():
    """10 items: both right on 2, only base on 1, only SFT on 5, none on 2; p = 2 (1 + 6) / 2^6 = 0.21875."""
    base = answers(BASE, "1110000000")
    sft = answers(SFT, "1101111100", strict="1101111000")
    few_shot = answers(BASE_FEW_SHOT, "1111110000")
    noise = answers("base_repartitioned", "1100000001")
    summary = summarize(base, sft, baselines={BASE_FEW_SHOT: few_shot}, noise_items=noise)
    overall = summary.overall
    assert (overall.n, overall.base.k, overall.sft.k) == (10, 3, 7)
    assert overall.lift == pytest.approx(0.4)
    assert (overall.mcnemar.only_base, overall.mcnemar.only_sft, overall.mcnemar.exact) == (1, 5, True)
    assert overall.mcnemar.p_value == pytest.approx(0.21875)
    assert overall.cohens_h == pytest.approx(2 * np.arcsin(np.sqrt(0.7)) - 2 * np.arcsin(np.sqrt(0.3)))
    assert overall.sft.interval.low == pytest.approx(0.3968, abs=1e-4)  # Wilson, 7 of 10
    assert overall.sft.interval.high == pytest.approx(0.8922, abs=1e-4)
    assert (summary.overall_strict.base.k, summary.overall_strict.sft.k) == (0, 6)
    assert {name: rate.k for name, rate in summary.baselines.items()} == {
        "base_strict": 0,
        "base_stop_rule": 3,
        BASE_FEW_SHOT: 6,
    }
    over_few_shot = summary.against[BASE_FEW_SHOT]
    assert (over_few_shot.mcnemar.only_base, over_few_shot.mcnemar.only_sft) == (1, 2)
    assert "Over base_few_shot, without training: +0.100" in summary_text(summary)
    assert (summary.noise_floor.k, summary.noise_floor.n) == (2, 10)
    assert summary.metadata["failure_reasons"][SFT] == {"wrong answer": 3, "runs on": 1}
    assert not summary.go


def many(base: str, sft: str, types: str = "", copies: int = 40, **update) -> EvaluationSummary:
    items = (
        answers(BASE, base * copies, types=types * copies),
        answers(SFT, sft * copies, types=types * copies),
    )
    return summarize(*items, **update)


def test_a_clear_lift_is_go():
    summary = many("1000000000", "1111111000")
    assert summary.go
    assert summary.metadata["no_go_reasons"] == []
    assert summary.overall.lift_interval.high - summary.overall.lift_interval.low <= 0.15


@pytest.mark.fault(21, plant="a gain read the other way round", check="sign of the lift")
def test_swapped_arms_turn_the_sign():
    forward, backward = many("1000000000", "1111111000"), many("1111111000", "1000000000")
    assert backward.overall.lift == -forward.overall.lift
    assert backward.overall.cohens_h == -forward.overall.cohens_h
    assert backward.overall.mcnemar.p_value == forward.overall.mcnemar.p_value < 1e-9
    assert not backward.go
    assert backward.overall.mcnemar.p_gain == 1.0  # significant, but for the base
    assert backward.metadata["no_go_reasons"] == [
        "SFT is not better on content (lift -0.600)",
        "p = 1 is not below 0.01",
    ]


@pytest.mark.fault(19, plant="an arm that only stops better", check="go needs a gain in content")
def test_learning_to_stop_alone_is_no_go():
    base, sft = answers(BASE, "1100" * 80), answers(SFT, "1100" * 80, strict="1100" * 80)
    summary = summarize(base, sft)
    assert summary.overall_strict.lift == pytest.approx(0.5)
    assert not summary.go


def test_a_wide_interval_is_no_go():
    summary = many("1000000000", "1111111000", copies=4)
    assert summary.overall.mcnemar.p_value < 0.01
    assert [reason for reason in summary.metadata["no_go_reasons"] if "wide, more than 0.15" in reason]
    assert not summary.go


def test_a_regression_on_safety_is_no_go_and_an_absent_type_is_said():
    summary = many("0000000011", "1111111100", types="ffffffffss")
    assert summary.non_regression == {"safety": REGRESSION, "format": NOT_APPLICABLE}
    assert summary.metadata["no_go_reasons"] == ["SFT is worse on safety items"]
    assert summary.by_type["safety"].lift == -1
    assert not summary.go
    worse, unmeasured = (regression_metric(kind, summary, "evaluation.json") for kind in ("safety", "format"))
    assert (worse.value, worse.n, worse.passed, worse.note) == (1, 80, False, REGRESSION)
    assert (unmeasured.value, unmeasured.n, unmeasured.note) == (0, 0, "no such items in the test set")


def test_a_small_loss_within_the_intervals_is_no_regression():
    base, sft = "0" * 200 + "1" * 20, "1" * 200 + "1" * 19 + "0"
    summary = many(base, sft, types="f" * 200 + "m" * 20, copies=1)
    assert summary.by_type["format"].lift < 0
    assert summary.non_regression["format"] == NO_REGRESSION
    assert summary.go
    metric = regression_metric("format", summary, "evaluation.json")
    assert (metric.value, metric.n, metric.passed, metric.note) == (0, 20, True, NO_REGRESSION)


def test_types_are_adjusted_together():
    summary = many("0000000011", "1111111111", types="fffffwwwss")
    p = {kind: comparison.mcnemar.p_value for kind, comparison in summary.by_type.items()}
    adjusted = {kind: comparison.p_adjusted for kind, comparison in summary.by_type.items()}
    assert p["safety"] == adjusted["safety"] == 1
    assert adjusted["word"] == pytest.approx(p["word"] * 3 / 2)
    assert summary.bh_correction == {"fdr": 0.10, "tests": 3, "significant": 2}


@pytest.mark.fault(21, plant="an adapter that changes no logit", check="arm check")
def test_arms_that_do_not_differ_are_no_go():
    summary = many("1000000000", "1111111000", logit_difference=0.0)
    assert summary.metadata["no_go_reasons"] == ["the arms do not differ: the adapter is not applied"]
    assert not summary.go


@pytest.mark.fault(21, plant="arms swapped, or of the same weights", check="arm check")
def test_mixed_up_arms_are_refused():
    base, sft = answers(BASE, "10"), answers(SFT, "11")
    with pytest.raises(CtaiError, match="the arms are mixed up"):
        summarize(sft, base)
    with pytest.raises(CtaiError, match="both arms ran on aaaaaaaaaaaa"):
        summarize(base, sft, arms={BASE: "a" * 64, SFT: "a" * 64})


def test_arms_on_other_items_are_refused():
    base, sft = answers(BASE, "1010"), answers(SFT, "1111")
    with pytest.raises(CtaiError, match="base answered 4 items and sft 3"):
        summarize(base, sft[:3])
    with pytest.raises(CtaiError, match="base answered 0 items"):
        summarize([], [])
    with pytest.raises(CtaiError, match="base and sft differ at position 1: item 1 'prompt 1' and item 2 'prompt 2'"):
        summarize(base, [sft[0], sft[2], sft[1], sft[3]])
    other_prompt = sft[1].model_copy(update={"prompt": "another"})
    with pytest.raises(CtaiError, match="differ at position 1"):
        summarize(base, [sft[0], other_prompt, *sft[2:]])
    with pytest.raises(CtaiError, match="few"):
        summarize(base, sft, baselines={"few": base[:2]})
    with pytest.raises(CtaiError, match="noise floor"):
        summarize(base, sft, noise_items=base[::-1])


def test_files_and_text(tmp_path):
    base, sft = answers(BASE, "1000000000" * 40), answers(SFT, "1111111000" * 40)
    summary = summarize(base, sft, metadata={"heldout": "digest"})
    paths = write_evaluation(base, sft, summary, tmp_path / "retry")
    assert {path.parent for path in paths} == {tmp_path / "retry"}
    assert [path.name for path in paths] == [
        "base_items.jsonl",
        "sft_items.jsonl",
        "evaluation.json",
        "summary.txt",
    ]
    assert read_jsonl(paths[0], EvaluationItem) == base
    assert read_jsonl(paths[1], EvaluationItem) == sft
    assert read_record(paths[2], EvaluationSummary) == summary
    assert summary.metadata["heldout"] == "digest"
    lines = paths[3].read_text().splitlines()
    assert lines[0] == "GO: base against SFT on 400 held-out items"
    content = next(line for line in lines if line.startswith("content"))
    assert content.split()[:3] == ["content", "400", "0.100"]
    assert "+0.600" in content


def test_no_go_is_said_first_with_its_reasons(tmp_path):
    summary = many("1111111000", "1000000000")
    path = write_evaluation(answers(BASE, "1"), answers(SFT, "1"), summary, tmp_path)[3]
    lines = path.read_text().splitlines()
    assert lines[0].startswith("NO GO")
    assert lines[1] == "  - SFT is not better on content (lift -0.600)"
