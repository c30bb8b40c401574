"""The critic: labels scored over their spellings, nothing accepted that is not a number, calibration against labels."""

import math

import numpy as np
import pytest

from ctai.errors import CtaiError
from ctai.generate.critic import InstructionCritic
from ctai.generate.critic_calibration import calibrate, judge_probes
from ctai.prompts import LabelledInstruction, LabelledPair
from ctai.records import ProbeJudgement
from ctai.tasks.probes import InstructionProbe, PairProbe, instruction_probes, pair_probes
from ctai.tasks.seeds import pair_critic_examples
from tests.support.scripted import ScriptedEngine

pytestmark = pytest.mark.unit


def judge(probabilities, margin=1.0, **examples):
    """The judgement of one instruction by a model with these next-token probabilities."""
    engine = ScriptedEngine(probabilities=lambda prompt: probabilities)
    return InstructionCritic(engine, margin, **examples).judge_instructions(["Name a color."])[0]


def test_both_spellings_count():
    found = judge({" A": 0.2, "A": 0.3, " B": 0.1, "B": 0.05})
    assert found.logp_a == pytest.approx(math.log(0.5))
    assert found.logp_b == pytest.approx(math.log(0.15))
    assert found.margin == pytest.approx(math.log(0.5 / 0.15))
    assert (found.is_good, found.predicted_label, found.confident, found.accepted) == (True, "A", True, True)


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
    found = judge({" A": a, " B": b})
    assert (found.is_good, found.confident, found.accepted) == (is_good, confident, is_good and confident)


@pytest.mark.parametrize("margin", [0.0, 1.0])
@pytest.mark.parametrize("values", [(math.nan, -1.0), (-1.0, math.nan), (math.nan, math.nan), (-math.inf, -math.inf)])
def test_what_is_not_a_number_never_accepts(values, margin):
    class Broken(ScriptedEngine):
        def token_logprobs(self, prompts, token_ids):
            half = len(token_ids) // 2
            return np.array([[values[0]] * half + [values[1]] * half for _ in prompts])

    found = InstructionCritic(Broken(), margin).judge_pairs([("Name a color.", "red")])[0]
    assert (found.is_good, found.confident, found.accepted) == (False, False, False)


def test_one_nan_spelling_spoils_the_label():
    class Broken(ScriptedEngine):
        def token_logprobs(self, prompts, token_ids):
            return np.array([[-0.1, math.nan, -5.0, -5.0] for _ in prompts])

    assert not InstructionCritic(Broken()).judge_instructions(["Name a color."])[0].accepted


def test_an_impossible_label_loses():
    class Certain(ScriptedEngine):
        def token_logprobs(self, prompts, token_ids):
            return np.array([[-0.1, -9.0, -math.inf, -math.inf] for _ in prompts])

    found = InstructionCritic(Certain()).judge_instructions(["Name a color."])[0]
    assert (found.accepted, found.margin, found.logp_b) == (True, math.inf, -math.inf)


class SplittingEngine(ScriptedEngine):
    """A tokenizer in which some texts are two tokens."""

    split: tuple[str, ...] = ()

    def encode(self, text):
        return super().encode(text) + ([0] if text in self.split else [])


def test_a_spelling_of_two_tokens_is_left_out():
    engine = SplittingEngine(probabilities=lambda prompt: {"A": 0.5, " A": 0.4, " B": 0.05})
    engine.split = (" A",)
    found = InstructionCritic(engine).judge_instructions(["Name a color."])[0]
    assert found.logp_a == pytest.approx(math.log(0.5))


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


# ----------------------------------------------------------------------------------------------------- calibration


def calibrated(engine, probes):
    return calibrate(judge_probes(InstructionCritic(engine), probes))


def knowing_engine(probes, sure=0.9, reads_the_rubric=True):
    """A model that gives every probe its label, and half and half to what it does not know."""
    labels = {probe.instruction + getattr(probe, "response", ""): probe.label for probe in probes}

    def probabilities(prompt):
        block = prompt.rsplit("INSTRUCTION: ", 1)[1].removesuffix("\nLabel:")
        label = labels.get(block.replace("\nRESPONSE: ", ""))
        p = {"A": sure, "B": 1 - sure}.get(label, 0.5)
        if reads_the_rubric and prompt.split("\n")[1].startswith(("A: wrong", "A: vague")):
            p = 1 - p
        return {" A": 0.8 * p, " B": 0.8 * (1 - p)}

    return ScriptedEngine(probabilities=probabilities)


@pytest.mark.parametrize(
    ("kind", "probes"),
    [("instructions", instruction_probes(60, 0)), ("pairs", pair_probes(60, 0, heldout=True))],
)
def test_a_critic_that_knows_is_calibrated_as_such(kind, probes):
    found = calibrated(knowing_engine(probes), probes)
    assert (found.kind, found.n, found.balanced_accuracy, found.auroc) == (kind, 60, 1.0, 1.0)
    assert 0.8 < found.balanced_accuracy_interval.low < 1
    assert found.coverage_mean == pytest.approx(0.8, abs=1e-6)
    assert found.label_bias == pytest.approx(0.5, abs=1e-6)
    assert found.order_agreement.value == 1
    assert found.acceptance["good"].value == 1
    assert len(found.acceptance) > 2
    assert all(rate.k == 0 for name, rate in found.acceptance.items() if name != "good")


def test_a_critic_that_knows_only_the_letters_is_found_out():
    probes = pair_probes(60, 0, heldout=True)
    reads = calibrated(knowing_engine(probes), probes)
    recites = calibrated(knowing_engine(probes, reads_the_rubric=False), probes)
    assert (reads.swapped_balanced_accuracy, recites.swapped_balanced_accuracy) == (1.0, 0.0)
    assert recites.balanced_accuracy == reads.balanced_accuracy == 1.0


def test_with_the_letters_exchanged_b_is_good():
    engine = ScriptedEngine(probabilities=lambda prompt: {" A": 0.1, " B": 0.8})
    swapped = InstructionCritic(engine).with_swapped_meaning()
    found = swapped.judge_pairs([("Name a color.", "red")])[0]
    assert (found.is_good, found.predicted_label, found.accepted) == (True, "B", True)
    lines = engine.prompts[-1].split("\n")
    assert lines[1].startswith("A: wrong")
    assert lines[2].startswith("B: it does what the instruction asks")
    labels = {e.instruction + e.response: e.label for e in pair_critic_examples()}
    block = engine.prompts[-1].split("INSTRUCTION: ")[1]
    instruction, rest = block.split("\nRESPONSE: ")
    response, letter = rest.strip().split("\nLabel: ")
    assert letter != labels[instruction + response]


def test_every_judgement_is_kept_and_gives_the_calibration_again():
    probes = instruction_probes(60, 0)
    judgements = judge_probes(InstructionCritic(knowing_engine(probes)), probes)
    assert [j.fault for j in judgements[-3:]] == ["content-free"] * 3
    assert len(judgements) == 63
    again = [ProbeJudgement.model_validate_json(j.model_dump_json()) for j in judgements]
    assert calibrate(again) == calibrate(judgements)


@pytest.mark.fault(14, plant="a critic that says A to everything", check="calibration: balanced accuracy, label bias")
def test_a_critic_that_says_a_to_everything_is_found_out():
    probes = pair_probes(60, 0, heldout=False)
    engine = ScriptedEngine(probabilities=lambda prompt: {" A": 0.9, " B": 0.05})
    found = calibrated(engine, probes)
    assert found.balanced_accuracy == 0.5
    assert found.auroc == 0.5
    assert found.label_bias > 0.9


def test_a_critic_that_depends_on_the_order_of_its_examples_is_found_out():
    probes = [PairProbe(f"Say {i}.", str(i), "AB"[i % 2], ["good", "wrong"][i % 2], "f", str(i)) for i in range(20)]
    first = pair_critic_examples()[0].instruction

    def probabilities(prompt):
        in_front = prompt.split("INSTRUCTION: ")[1].startswith(first)
        return {" A": 0.8, " B": 0.1} if in_front else {" A": 0.1, " B": 0.8}

    assert calibrated(ScriptedEngine(probabilities=probabilities), probes).order_agreement.k == 0


def test_no_probes_is_a_bug():
    with pytest.raises(ValueError, match="no probes"):
        calibrated(ScriptedEngine(), [])


def test_probes_of_one_kind_give_no_accuracy():
    probes = [InstructionProbe("Name a color.", "A", "good")]
    assert math.isnan(calibrated(ScriptedEngine(), probes).balanced_accuracy)
