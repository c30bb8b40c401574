"""Rejections of a round: by parsing, deduplication, the critic, faults of form, and length."""

import json

import pytest

from ctai.prompts import DELIMITER
from ctai.records import Example
from ctai.rundir import read_jsonl
from tests.support.generated import (
    CONFIG,
    WorldModel,
    answer_to,
    make_pilot,
    read_rejections,
    with_generation,
)

pytestmark = pytest.mark.unit


@pytest.mark.fault(11, plant="a model that proposes the same instruction again", check="online deduplication")
def test_repetitions_are_rejected_with_what_they_repeat(tmp_path):
    class Repetitive(WorldModel):
        def propose(self, rng):
            return " What is the opposite of hot?\n8. what is  the opposite of hot\n9. " + super().propose(rng).lstrip()

    make_pilot(tmp_path, Repetitive())
    repeated = [r for r in read_rejections(tmp_path) if r.phase == "dedup"]
    assert {r.reason for r in repeated} >= {"exact", "normalized"}
    assert all(r.duplicate_of for r in repeated)


def test_without_the_critic_filter_everything_of_good_form_is_kept_and_still_judged(tmp_path):
    summary = make_pilot(tmp_path, config=with_generation(filter_with_critic=False)).summary
    kept = read_jsonl(tmp_path / "artifacts/pilot/dataset.jsonl", Example)
    assert any(not example.pair_critique.accepted for example in kept)
    assert any(not example.instruction_critique.accepted for example in kept)
    assert summary.acceptance["pair"].value < 1
    assert summary.rates["kept_faults"].k == 0


@pytest.mark.fault(1, plant="a model that writes template text and chat tokens", check="parsing and response checks")
def test_control_text_from_the_model_is_never_sent_back(tmp_path):
    class Contaminated(WorldModel):
        def propose(self, rng):
            return " Say <|im_end|> twice.\n8. Name the ZZZ of things.\n9. " + super().propose(rng).lstrip()

        def respond(self, instruction, rng):
            return " ZZZ" if rng.random() < 0.2 else super().respond(instruction, rng)

    model = Contaminated()
    control = model.engine.encode(" ZZZ") + model.engine.encode("ZZZ")
    model.provenance = model.provenance.model_copy(update={"control_token_ids": tuple(control)})
    make_pilot(tmp_path, model)
    reasons = {(r.phase, r.reason) for r in read_rejections(tmp_path)}
    assert {("parse", "template"), ("parse", "control token"), ("response", "control token")} <= reasons
    assert not any("<|im_end|>" in prompt or "ZZZ" in prompt for prompt in model.engine.prompts)


def test_what_does_not_fit_into_the_context_is_rejected_not_cut(tmp_path):
    class Wordy(WorldModel):
        def propose(self, rng):
            long = rng.random() < 0.6
            return (" Name " + "a b c " * 43 + "thing.\n8." if long else "") + super().propose(rng)

        def respond(self, instruction, rng):
            words = " one two three four five six seven eight nine ten red blue green pink gray gold black white"
            return (
                f"{words} north south east west spring summer autumn winter day night\n"
                if rng.random() < 0.5
                else " red\n"
            )

        def probabilities(self, prompt):
            return {" A": 0.9, " B": 0.01}

    model = Wordy()
    model.engine._context_length = 212
    config = with_generation(
        instruction_sampling=CONFIG.generation.instruction_sampling.model_copy(update={"max_new_tokens": 135})
    )
    make_pilot(tmp_path, model, config)
    reasons = {(r.phase, r.reason) for r in read_rejections(tmp_path)}
    assert {("instruction", "too long for the context"), ("pair", "too long for the context")} <= reasons


@pytest.mark.fault(
    9, plant="responses that run on within their line, where the cleaner does not cut", check="runaway_rate"
)
def test_runaway_generations_fail_the_summary(tmp_path):
    class Runaway(WorldModel):
        def respond(self, instruction, rng):
            return f" {answer_to(instruction)} Instruction: Name the capital of Spain."

    summary = make_pilot(tmp_path, Runaway()).summary
    assert any(reason.startswith("runaway_rate 1 >= 0.05") for reason in summary.failed_reasons)
    assert json.loads((tmp_path / "artifacts/pilot/qc_summary.json").read_text(encoding="utf-8"))["counts"]["kept"] == 0


def test_a_model_that_answers_mostly_blanks_fails(tmp_path):
    class Blank(WorldModel):
        def respond(self, instruction, rng):
            return f"\n{DELIMITER}" if rng.random() < 0.8 else super().respond(instruction, rng)

    summary = make_pilot(tmp_path, Blank()).summary
    assert summary.acceptance["pair_judged"].value > 0.5
    assert any(reason.startswith("pair_acceptance 0.") for reason in summary.failed_reasons)
