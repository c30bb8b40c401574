"""Knowledge and habits of the base model: facts, answers in each prompt format, chat-control tokens, test set."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from ctai.prompts import CompletionStylePrompts
from ctai.records import HeldoutItem, Sampling
from ctai.tasks import heldout, probes, registry
from ctai.tasks.base import GUARDED_TYPES
from scripts.build_embedded.measure.rates import Metrics, number, share
from scripts.build_embedded.measure.subject import (
    GREEDY,
    GREEDY_FEW_SHOT,
    Answer,
    Question,
    Subject,
    by_type,
    correctness,
    few_shot,
    right,
    zero_shot,
)

FACT_TOKENS, LINE_TOKENS = 10, 24
MAX_ASKED, MAX_UNSEEN = 900, 400  # items of the test set; all held-out combinations of the world are fewer


class Split(NamedTuple):
    """Items of the test set with their name in the card, and the few-shot answers that training is compared with."""

    name: str
    questions: list[Question]
    few_shot: list[Answer]


def draw_test_set() -> dict[str, list[Question]]:
    """Return all held-out questions: of the families that are asked about, and of those held out whole."""
    items = heldout.build_heldout(MAX_ASKED, 0, embedded=True, unseen=MAX_UNSEEN)
    return {
        "held-out": _questions([item for item in items if item.split == "asked"]),
        "unseen families": _questions([item for item in items if item.split == "unseen"]),
    }


def _questions(items: Sequence[HeldoutItem]) -> list[Question]:
    return [Question(item.family, item.key, item.instruction) for item in items]


def measure_test_set(questions: Sequence[Question]) -> Metrics:
    """Count items and families by type; the guarded types, which a run compares as one, count as one."""
    families: dict[str, set[str]] = {}
    items: dict[str, int] = {}
    for question in questions:
        kind = " and ".join(GUARDED_TYPES) if question.type in GUARDED_TYPES else question.type
        families.setdefault(kind, set()).add(question.family)
        items[kind] = items.get(kind, 0) + 1
    return {
        "test set: items": number(len(questions), len(questions)),
        "test set: items by type": dict(sorted(items.items())),
        "test set: families by type": {kind: len(families[kind]) for kind in sorted(families)},
        "test set: items of the smallest type": number(min(items.values()), len(items)),
        "test set: families of the type with fewest": number(min(map(len, families.values())), len(items)),
    }


def measure_facts(subject: Subject, n: int) -> Metrics:
    """Measure the share of plain facts that are completed correctly."""
    items = probes.fact_probes(n, subject.seed)
    done = subject.complete([item.prompt for item in items], Sampling(max_new_tokens=FACT_TOKENS))
    families = [registry.by_name(item.family) for item in items]
    texts = [completion.raw.split(".")[0].split("\n")[0] for completion in done]
    outcomes = [
        family.score(family.render(item.key, 0), text).content
        for family, item, text in zip(families, items, texts, strict=True)
    ]
    return {"facts completed": share(outcomes)}


def measure_bare(subject: Subject, n: int) -> Metrics:
    """Measure how often a bare instruction is answered; the first line of the continuation is scored."""
    rng = random.Random(f"bare/{subject.seed}")
    combinations = [
        (family, key)
        for family in heldout.asked_families(embedded=True)
        for key in family.keys
        if not heldout.is_heldout(family.name, key)
    ]
    chosen = rng.sample(combinations, min(n, len(combinations)))
    drawn = [(family, family.render(key, rng.randrange(len(family.phrasings)))) for family, key in chosen]
    prompts = [text + ("\n" if at % 2 else "") for at, (_, text) in enumerate(drawn)]
    lines = [
        next(iter(completion.raw.strip().splitlines()), "")
        for completion in subject.complete(prompts, Sampling(max_new_tokens=LINE_TOKENS))
    ]
    outcomes = [family.score(text, line).content for (family, text), line in zip(drawn, lines, strict=True)]
    return {"bare instructions answered": share(outcomes)}


def measure_control_tokens(subject: Subject, questions: Sequence[Question]) -> Metrics:
    """Measure the largest log-probability of a chat-control token after an instruction, bare or in the training prompt."""
    prompts = [*zero_shot(questions), *(question.instruction for question in questions)]
    name = "largest log-probability of a chat-control token"
    return {name: number(subject.control_logprob(prompts), len(prompts))}


def answer_few_shot(subject: Subject, name: str, questions: Sequence[Question]) -> Split:
    """Answer the questions after examples, greedily."""
    prompts = few_shot([question.instruction for question in questions], f"few-shot/{name}")
    return Split(name, list(questions), subject.answer(questions, prompts, GREEDY_FEW_SHOT))


def measure_formats(subject: Subject, split: Split) -> Metrics:
    """Measure greedy answers to the same questions in each prompt format."""
    zero = subject.answer(split.questions, zero_shot(split.questions), GREEDY)
    raw = [CompletionStylePrompts.raw(question.instruction) for question in split.questions]
    result = {
        **correctness(f"few-shot, {split.name}", split.few_shot),
        **by_type(f"few-shot, {split.name}", split.few_shot),
        f"few-shot answers that end, {split.name}": share(
            [answer.completion.finish_reason != "length" for answer in split.few_shot]
        ),
        f"zero-shot content, {split.name}": share(right(zero)),
        f"zero-shot answers that stop, {split.name}": share([a.completion.finish_reason == "eos" for a in zero]),
        f"raw, {split.name}": share(right(subject.answer(split.questions, raw, GREEDY))),
    }
    few, none = result[f"few-shot, {split.name}"], result[f"zero-shot content, {split.name}"]
    # of the intervals, not of the estimates: a sure distance, at least 0 for a model that has a gap to close
    gap = few["low"] - none["high"]
    return {**result, f"gap from zero-shot to few-shot, {split.name}": number(gap, len(split.questions))}
