"""Judgements of the critic: labels scored over their spellings; nan never accepts."""

import math

import numpy as np
import pytest

from ctai.errors import CtaiError
from ctai.generate.critic import InstructionCritic
from ctai.prompts import LabelledInstruction, LabelledPair
from ctai.tasks.seeds import pair_critic_examples
from tests.support.scripted import ScriptedEngine

pytestmark = pytest.mark.unit


def judge(probabilities, margin=1.0, **examples):
    """The judgement of one instruction by a model with these next-token probabilities."""
    engine = ScriptedEngine(probabilities=lambda prompt: probabilities)
    return InstructionCritic(engine, margin, **examples).judge_instructions(["Name a color."])[0]


def test_both_spellings_count():
    critique = judge({" A": 0.2, "A": 0.3, " B": 0.1, "B": 0.05})
    assert critique.logp_a == pytest.approx(math.log(0.5))
    assert critique.logp_b == pytest.approx(math.log(0.15))
    assert critique.margin == pytest.approx(math.log(0.5 / 0.15))
    assert (critique.is_good, critique.predicted_label, critique.confident, critique.accepted) == (
        True,
        "A",
        True,
        True,
    )


@pytest.mark.parametrize(
    ("a", "b", "is_good", "confident"),
    [
        (0.6, 0.1, True, True),
        (0.3, 0.2, True, False),
        (0.2, 0.3, False, False),
        (0.1, 0.6, False, True),
        (0.2, 0.2, False, False),
    ],
)
def test_good_and_confident_are_two_things(a, b, is_good, confident):
    critique = judge({" A": a, " B": b})
    assert (critique.is_good, critique.confident, critique.accepted) == (is_good, confident, is_good and confident)


@pytest.mark.parametrize("margin", [0.0, 1.0])
@pytest.mark.parametrize("values", [(math.nan, -1.0), (-1.0, math.nan), (math.nan, math.nan), (-math.inf, -math.inf)])
def test_what_is_not_a_number_never_accepts(values, margin):
    class Broken(ScriptedEngine):
        def token_logprobs(self, prompts, token_ids):
            half = len(token_ids) // 2
            return np.array([[values[0]] * half + [values[1]] * half for _ in prompts])

    critique = InstructionCritic(Broken(), margin).judge_pairs([("Name a color.", "red")])[0]
    assert (critique.is_good, critique.confident, critique.accepted) == (False, False, False)


def test_one_nan_spelling_spoils_the_label():
    class Broken(ScriptedEngine):
        def token_logprobs(self, prompts, token_ids):
            return np.array([[-0.1, math.nan, -5.0, -5.0] for _ in prompts])

    assert not InstructionCritic(Broken()).judge_instructions(["Name a color."])[0].accepted


def test_an_impossible_label_loses():
    class Certain(ScriptedEngine):
        def token_logprobs(self, prompts, token_ids):
            return np.array([[-0.1, -9.0, -math.inf, -math.inf] for _ in prompts])

    critique = InstructionCritic(Certain()).judge_instructions(["Name a color."])[0]
    assert (critique.accepted, critique.margin, critique.logp_b) == (True, math.inf, -math.inf)


class SplittingEngine(ScriptedEngine):
    """A tokenizer in which some texts are two tokens."""

    split: tuple[str, ...] = ()

    def encode(self, text):
        return super().encode(text) + ([0] if text in self.split else [])


def test_a_spelling_of_two_tokens_is_left_out():
    engine = SplittingEngine(probabilities=lambda prompt: {"A": 0.5, " A": 0.4, " B": 0.05})
    engine.split = (" A",)
    critique = InstructionCritic(engine).judge_instructions(["Name a color."])[0]
    assert critique.logp_a == pytest.approx(math.log(0.5))


def test_a_label_without_a_token_is_an_error():
    engine = SplittingEngine()
    engine.split = (" B", "B")
    with pytest.raises(CtaiError, match="'B' is not a single token"):
        InstructionCritic(engine)


def test_prompts_end_where_the_label_comes_and_hold_the_examples():
    engine = ScriptedEngine()
    critic = InstructionCritic(
        engine,
        instruction_examples=[LabelledInstruction("Go on.", "B")],
        pair_examples=[LabelledPair("Say yes.", "yes", "A")],
    )
    critic.judge_instructions(["Name a color."])
    critic.judge_pairs([("Name a color.", "red")])
    instruction, pair = engine.prompts
    assert instruction.endswith("INSTRUCTION: Go on.\nLabel: B\n\nINSTRUCTION: Name a color.\nLabel:")
    assert pair.endswith("RESPONSE: yes\nLabel: A\n\nINSTRUCTION: Name a color.\nRESPONSE: red\nLabel:")


def test_the_worked_examples_come_from_the_seeds():
    engine = ScriptedEngine()
    InstructionCritic(engine).judge_pairs([("Name a color.", "red")])
    assert all(
        f"INSTRUCTION: {e.instruction}\nRESPONSE: {e.response}" in engine.prompts[0] for e in pair_critic_examples()
    )


def test_nothing_to_judge_asks_nothing():
    engine = ScriptedEngine()
    assert InstructionCritic(engine).judge_pairs([]) == []
    assert engine.prompts == []


def test_with_the_letters_exchanged_b_is_good():
    engine = ScriptedEngine(probabilities=lambda prompt: {" A": 0.1, " B": 0.8})
    swapped = InstructionCritic(engine).with_swapped_meaning()
    critique = swapped.judge_pairs([("Name a color.", "red")])[0]
    assert (critique.is_good, critique.predicted_label, critique.accepted) == (True, "B", True)
    lines = engine.prompts[-1].split("\n")
    assert lines[1].startswith("A: wrong")
    assert lines[2].startswith("B: it does what the instruction asks")
    labels = {e.instruction + e.response: e.label for e in pair_critic_examples()}
    block = engine.prompts[-1].split("INSTRUCTION: ")[1]
    instruction, rest = block.split("\nRESPONSE: ")
    response, letter = rest.strip().split("\nLabel: ")
    assert letter != labels[instruction + response]
