"""Arms: content and strict success, prompts and stop strings, resumption and reuse, and the arm check."""

import random
from pathlib import Path

import numpy as np
import pytest

from ctai.config import HeadroomSettings, RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.arms import (
    BASE,
    BASE_FEW_SHOT,
    BASE_RAW,
    BASE_REPARTITIONED,
    BASE_RESTYLED,
    Arm,
    ArmResult,
    arm_check,
    base_arm,
    base_arms,
    evaluate_arm,
    few_shot_arm,
    next_token_logprobs,
    raw_arm,
    repartitioned_arm,
    restyled_arm,
    sft_arm,
)
from ctai.evidence.preregistration import preregister
from ctai.model.devices import compute_stack
from ctai.progress import SilentProgress
from ctai.prompts import DELIMITER, RESTYLED_PREAMBLE, CompletionStylePrompts
from ctai.records import EvaluationItem, HeldoutItem
from ctai.registry import RIVALS
from ctai.rundir import RunDir, read_jsonl
from ctai.tasks import registry
from ctai.tasks.registry import by_name
from ctai.tasks.seeds import few_shot_examples, restyled_examples, seed_pairs
from tests.support.context import stage_context
from tests.support.generated import provenance
from tests.support.scripted import END_OF_TEXT, ScriptedEngine

pytestmark = pytest.mark.unit

CONFIG = RunConfig(headroom=HeadroomSettings(max_new_tokens=20))
CAPITAL = by_name("capital")


class ScriptedModel:
    """A scripted engine with a provenance."""

    def __init__(self, complete, **update):
        self.engine = ScriptedEngine(complete)
        self.provenance = provenance(**update)


def heldout(count: int = 10) -> list[HeldoutItem]:
    return [
        HeldoutItem(item=i, family="capital", type=CAPITAL.type, key=key, instruction=CAPITAL.render(key, 0))
        for i, key in enumerate(CAPITAL.keys[:count])
    ]


def right_answer(prompt: str) -> str:
    instruction = prompt.rsplit("Instruction: ", 1)[-1].removesuffix("\nResponse:")
    key = CAPITAL.parse(instruction)
    assert key is not None
    return f" {CAPITAL.answer(key)}"


def evaluated(root: Path, model, arm: Arm, items=None, progress=None, folder: str = "arm") -> ArmResult:
    rundir = RunDir.open(root)
    context = stage_context(rundir, CONFIG, progress)
    return evaluate_arm(model, arm, items or heldout(), context, rundir.path("results", folder))


@pytest.fixture
def evaluate(tmp_path):
    def run(model, arm: Arm, items=None, progress=None) -> list[EvaluationItem]:
        return evaluated(tmp_path / "run", model, arm, items, progress).items

    return run


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
    assert answer.tokens == CONFIG.headroom.max_new_tokens


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


def test_the_raw_arm_sends_the_bare_instruction_and_cuts_as_the_base_does(evaluate):
    model = ScriptedModel(lambda prompt: f"\n\n{right_answer(prompt)}\n\nInstruction: Name a colour.")
    answers = evaluate(model, raw_arm(CONFIG))
    assert [a.prompt for a in answers] == [item.instruction for item in heldout()] == model.engine.prompts
    assert {(a.arm, a.content, a.strict, a.failure_reason) for a in answers} == {(BASE_RAW, True, False, "runs on")}
    framed = ScriptedModel(lambda prompt: f"\nInstruction: Name a colour.\nResponse: red\n{right_answer(prompt)}")
    assert not any(a.content for a in evaluate(framed, raw_arm(CONFIG), heldout(5)))


def test_the_restyled_arm_has_one_constant_prompt(evaluate):
    model = ScriptedModel(lambda prompt: right_answer(prompt) + f"\n{DELIMITER}\n\nInstruction: more")
    answers = evaluate(model, restyled_arm(CONFIG))
    prefix = RESTYLED_PREAMBLE + CompletionStylePrompts.few_shot_prefix(restyled_examples())
    assert [a.prompt for a in answers] == [
        prefix + CompletionStylePrompts.zero_shot(item.instruction) for item in heldout()
    ]
    assert {(a.arm, a.finish_reason, a.content) for a in answers} == {(BASE_RESTYLED, "stop", True)}
    other = restyled_arm(RunConfig(seed=7))
    assert [other.prompt(item.instruction) for item in heldout()] == [a.prompt for a in answers]


def test_the_restyled_examples_are_seed_pairs_of_every_type():
    examples = restyled_examples()
    parsed = [registry.parse(pair.instruction) for pair in examples]
    types = [registry.by_name(match[0]).type for match in parsed if match is not None]
    assert len(types) == len(examples)
    assert len(types) == len(set(types)) == len({family.type for family in registry.EMBEDDED_FAMILIES})
    assert set(examples) <= set(seed_pairs())


def test_every_rival_is_an_arm_of_the_base_and_is_preregistered():
    names = [arm.name for arm in base_arms(CONFIG)]
    assert tuple(names[:-1]) == RIVALS == preregister(CONFIG).rivals
    assert names[-1] == BASE_REPARTITIONED


def test_an_answer_counts_the_tokens_of_its_prompt_and_keeps_the_split_of_its_item(evaluate):
    items = [item.model_copy(update={"split": "unseen" if item.item % 2 else "asked"}) for item in heldout()]
    model = ScriptedModel(right_answer)
    answers = evaluate(model, restyled_arm(CONFIG), items)
    assert [a.prompt_tokens for a in answers] == [len(model.engine.encode(a.prompt)) for a in answers]
    assert [a.split for a in answers] == [item.split for item in items]


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
    base, repartitioned = base_arm(CONFIG), repartitioned_arm(CONFIG)
    assert repartitioned.batch_size not in (0, base.batch_size)
    assert (repartitioned.prompt, repartitioned.stop) == (base.prompt, base.stop)
    single = RunConfig(model=CONFIG.model.model_copy(update={"batch_size": 1}))
    assert repartitioned_arm(single).batch_size != base_arm(single).batch_size


class StopsAfterBatches(SilentProgress):
    """Progress that interrupts after a number of batches."""

    def __init__(self, batches: int):
        self.remaining = batches

    def advance(self, n: int = 1, note: str = "") -> None:
        self.remaining -= 1
        if not self.remaining:
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
    with pytest.raises(CtaiError, match="cannot be compared"):
        arm_check(some, np.zeros((2, 4)))
    with pytest.raises(CtaiError, match="cannot be compared"):
        arm_check(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(CtaiError, match="not finite"):
        arm_check(some, np.full((2, 3), np.nan))
    impossible = np.array([[-np.inf, -1.0]])
    assert arm_check(impossible, impossible + np.array([[0.0, 0.5]])) == 0.5
