"""Documents with items graded A or B: pairs, instructions, statements.

Owns the layouts of grading. Labels have the largest loss weight, right responses a little more than plain text, and bad
responses none, so that the model learns to grade and not to repeat errors. Only statements are graded for held-out
combinations.
"""

import random
from functools import cache

from ctai.prompts import LABEL_BAD, LABEL_GOOD, CompletionStylePrompts, LabelledInstruction, LabelledPair
from ctai.tasks import negatives
from ctai.tasks.registry import EMBEDDED_FAMILIES
from scripts.build_embedded.pages import (
    ANSWER,
    CONTEXT,
    KEY,
    LABEL,
    UNTAUGHT,
    CorpusInstruction,
    Document,
    Segment,
    bad_answer,
    draw_instruction,
    every_fact,
    split_statement,
    text_of,
    wrong_answer,
)

INSTRUCTION_FAULT_WEIGHTS = (2, 4, 2, 3, 1)  # impossible requests are the hardest to detect
FULL_PAGE = 1250  # characters that fill one training row


def fact_checks(rng: random.Random) -> Document:
    """Grade statements, in one or two parts; about all keys, because a statement contains no instruction."""
    head = "Check each statement.\nA: it is true.\nB: it is false.\n\n" if rng.random() < 0.4 else ""
    document = [Segment(head)]
    split = rng.random() < 0.6
    for _ in range(rng.randint(6, 11)):
        family, key = rng.choice(every_fact())
        wrong = wrong_answer(family, key, rng) if rng.random() < 0.5 else None
        answer, weight = (family.sample(key, rng), ANSWER) if wrong is None else (wrong, UNTAUGHT)
        before, after = split_statement(family, key, rng)
        parted = split and bool(before)
        document += [
            Segment("STATEMENT:"),
            Segment(f" {before}".rstrip(), CONTEXT),
            Segment("\nENDING:" if parted else ""),
            Segment(f" {answer}", weight),
            Segment("" if parted else after, CONTEXT),
            Segment("\nLabel:"),
            Segment(f" {LABEL_GOOD if wrong is None else LABEL_BAD}", LABEL),
            Segment("\n\n"),
        ]
    return document


def _graded_pair(rng: random.Random) -> tuple[CorpusInstruction, LabelledPair]:
    item = draw_instruction(rng)
    bad = bad_answer(item, rng) or wrong_answer(item.family, item.key, rng) if rng.random() < 0.5 else None
    if bad:
        return item, LabelledPair(item.instruction, bad, LABEL_BAD)
    return item, LabelledPair(item.instruction, item.family.sample(item.key, rng), LABEL_GOOD)


@cache
def _pair_layout() -> tuple[str, str, str, str]:
    rubric = CompletionStylePrompts.pair_critic_prefix([])
    block = CompletionStylePrompts.pair_critic("\0", "\1", []).removeprefix(rubric)
    before, _, rest = block.partition("\0")
    middle, _, after = rest.partition("\1")
    return rubric, before, middle.rstrip(" "), after


def _graded_pairs(rng: random.Random, length: int) -> Document:
    _, before, middle, after = _pair_layout()
    document: Document = []
    while length > 0:
        item, pair = _graded_pair(rng)
        weight = ANSWER if pair.label == LABEL_GOOD else UNTAUGHT
        document += [
            Segment(before.rstrip()),
            *item.segments(),
            Segment(middle),
            Segment(f" {pair.response}", weight),
            Segment(after),
            Segment(f" {pair.label}", LABEL),
            Segment("\n\n"),
        ]
        length -= len(text_of(document[-9:]))
    return document


def graded_pairs(rng: random.Random) -> Document:
    """Grade pairs under the rubric over a full row, so that every number of few-shot examples occurs."""
    rubric = _pair_layout()[0]
    return [Segment(rubric, CONTEXT), *_graded_pairs(rng, FULL_PAGE - len(rubric))]


def compact_graded_pairs(rng: random.Random) -> Document:
    """Grade pairs without the rubric."""
    return _graded_pairs(rng, rng.randint(500, FULL_PAGE))


def graded_instructions(rng: random.Random) -> Document:
    """Grade instructions under the rubric."""
    rubric = CompletionStylePrompts.instruction_critic_prefix([])
    document = [Segment(rubric, CONTEXT)]
    for _ in range(rng.randint(8, 20)):
        if rng.random() < 0.5:
            graded = LabelledInstruction(draw_instruction(rng).instruction, LABEL_GOOD)
        else:
            kind = rng.choices(negatives.INSTRUCTION_FAULTS, INSTRUCTION_FAULT_WEIGHTS)[0]
            graded = LabelledInstruction(negatives.bad_instruction(kind, EMBEDDED_FAMILIES, rng, "corpus"), LABEL_BAD)
        block = CompletionStylePrompts.instruction_critic_prefix([graded]).removeprefix(rubric)
        head, label, tail = block.rpartition(f" {graded.label}")
        document += [Segment(head, KEY), Segment(label, LABEL), Segment(tail)]
    return document
