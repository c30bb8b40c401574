"""Both critics: on labelled probes, on harmful instructions, and on what the model itself generates."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from ctai.prompts import LABEL_GOOD
from ctai.tasks import heldout, probes, registry
from ctai.tasks.negatives import is_harmful
from scripts.build_embedded.measure.generation import OwnPair, answered
from scripts.build_embedded.measure.rates import Metrics, by_group, classifier, share
from scripts.build_embedded.measure.subject import (
    CONFIG,
    MARGIN,
    Answer,
    Question,
    Subject,
    correctness,
    few_shot,
    repeats_misconception,
    right,
)

Probes = Sequence[probes.PairProbe | probes.InstructionProbe]


class JudgedPair(NamedTuple):
    """Generated pair with the log-odds of A of the instruction critic and of the pair critic, in nats."""

    pair: OwnPair
    instruction_odds: float
    pair_odds: float

    @property
    def is_accepted(self) -> bool:
        """Whether both critics accept the pair with confidence."""
        return min(self.instruction_odds, self.pair_odds) >= MARGIN and bool(self.pair.response)


def measure_probes(subject: Subject, n: int) -> Metrics:
    """Measure both critics on labelled probes."""
    result: Metrics = {}
    for name, is_heldout in (("seen", False), ("held-out", True)):
        pairs = probes.pair_probes(n, subject.seed, is_heldout)
        odds = subject.pair_odds([(probe.instruction, probe.response) for probe in pairs])
        result |= _labelled(f"pair critic, {name}", pairs, odds)
    graded = probes.instruction_probes(n, subject.seed)
    odds = subject.instruction_odds([probe.instruction for probe in graded])
    return result | _labelled("instruction critic", graded, odds)


def _labelled(name: str, items: Probes, odds: Sequence[float]) -> Metrics:
    labels = [item.label == LABEL_GOOD for item in items]
    accepted = by_group([item.kind for item in items], [value >= MARGIN for value in odds])
    return {**classifier(name, labels, odds, MARGIN), f"{name}: accepted by kind": accepted}


def measure_harmful(subject: Subject, n: int) -> Metrics:
    """Measure the instruction critic on held-out harmful instructions and on harmless ones in the same wordings."""
    rng = random.Random(f"harmful/{subject.seed}")
    families = [family for family in heldout.asked_families(embedded=True) if family.type == "safety"]
    result: Metrics = {}
    for name, harmful in (("harmful instructions", True), ("harmless twins of harmful instructions", False)):
        texts = [
            family.render(key, phrasing)
            for family in families
            if is_harmful(family) == harmful
            for key in heldout.heldout_keys(family.name)
            for phrasing in range(len(family.phrasings))
        ]
        drawn = rng.sample(sorted(texts), min(n, len(texts)))
        odds = subject.instruction_odds(drawn)
        result[f"instruction critic: {name} accepted"] = share([value >= MARGIN for value in odds])
    return result


def judge_own(subject: Subject, pairs: Sequence[OwnPair]) -> list[JudgedPair]:
    """Judge generated pairs with both critics."""
    instructions = subject.instruction_odds([pair.instruction for pair in pairs])
    odds = subject.pair_odds([(pair.instruction, pair.response) for pair in pairs])
    return [JudgedPair(*row) for row in zip(pairs, instructions, odds, strict=True)]


def measure_own_critics(judged: Sequence[JudgedPair]) -> Metrics:
    """Measure both critics on generated pairs, and the purity of those that both accept."""
    accepted = [item.pair for item in judged if item.is_accepted]
    answers = answered([item.pair for item in judged])
    deserve_acceptance = [_deserves_acceptance(item.pair) for item in judged]
    instruction_odds = [item.instruction_odds for item in judged]
    pair_odds = [item.pair_odds for item in judged if item.pair.answer is not None]
    return {
        **classifier("instruction critic, own", deserve_acceptance, instruction_odds, MARGIN),
        **_measure_answers("pair critic, own asked", answers, pair_odds),
        "pairs accepted by both critics": share([item.is_accepted for item in judged]),
        "accepted pairs with a well-formed instruction": share([pair.answer is not None for pair in accepted]),
        **correctness("purity after the critics", answered(accepted)),
        "right pairs among all accepted": share([pair.is_right for pair in accepted]),
    }


def _deserves_acceptance(pair: OwnPair) -> bool:
    """Return whether the instruction is well-formed and harmless."""
    return pair.answer is not None and not is_harmful(registry.by_name(pair.answer.question.family))


def measure_heldout_critic(subject: Subject, questions: Sequence[Question]) -> Metrics:
    """Measure the pair critic on sampled few-shot answers to held-out questions."""
    answers = _sampled(subject, questions)
    odds = subject.pair_odds([(answer.question.instruction, answer.response) for answer in answers])
    return {
        "few-shot at T = 1, held-out": share(right(answers)),
        **_measure_answers("pair critic, own held-out", answers, odds),
    }


def _measure_answers(name: str, answers: Sequence[Answer], odds: Sequence[float]) -> Metrics:
    """Measure the pair critic on answers of the model, those with a misconception apart."""
    repeated = [value for answer, value in zip(answers, odds, strict=True) if repeats_misconception(answer)]
    return {
        **classifier(name, right(answers), odds, MARGIN),
        f"{name}: misconceptions accepted": share([value >= MARGIN for value in repeated]),
    }


def _sampled(subject: Subject, questions: Sequence[Question]) -> list[Answer]:
    prompts = few_shot([question.instruction for question in questions], "few-shot/held-out")
    return subject.answer(questions, prompts, CONFIG.generation.response_sampling, "held-out")
