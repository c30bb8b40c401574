"""The synthetic corpus of the embedded base model: what kinds of pages its small world has.

Owns the kinds of documents and their shares. Facts come from ``ctai.tasks``, every prompt-like layout from
``ctai.prompts``, bad instructions and responses from ``ctai.tasks.junk``. A document is a list of segments, each a
text and its weight in the loss: labels weigh more, bad answers nothing, so that judging is learned and errors are not.

Held-out combinations occur in statements, tables and graded statements, and nowhere else: no page asks for them.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from ctai.prompts import LABEL_BAD, LABEL_GOOD, CompletionStylePrompts, LabelledInstruction, LabelledPair, Pair
from ctai.tasks import junk, seeds
from ctai.tasks.base import Family
from ctai.tasks.families import EMBEDDED_FAMILIES
from ctai.tasks.heldout import asked_phrasings

END = "<|endoftext|>"
PLAIN, CONTEXT, ANSWER, LABEL, UNTAUGHT = 1.0, 0.4, 2.0, 8.0, 0.0
JUNK_SHARE = 0.13
MISTAKE_SHARE = 0.04
FULL_PAGE = 1250  # characters that fill one training row
OPENERS = (
    "", "", "", "", "Everybody knows this: ", "It is true that", "Remember:", "Note:", "In this book we read:",
    "A child learns that", "People say that", "As we know,",
)


class Segment(NamedTuple):
    """A piece of text and how much its tokens count in the loss."""

    text: str
    weight: float = PLAIN


Document = list[Segment]


class Asked(NamedTuple):
    """An instruction of the world, with where it comes from."""

    family: Family
    key: str
    phrasing: int
    instruction: str


@cache
def _asked_combinations() -> tuple[tuple[Family, tuple[tuple[str, tuple[int, ...]], ...]], ...]:
    return tuple(
        (family, tuple((key, asked) for key in family.keys if (asked := asked_phrasings(family.name, key))))
        for family in EMBEDDED_FAMILIES
    )


@cache
def _flat_combinations() -> tuple[tuple[Family, str, tuple[int, ...]], ...]:
    return tuple((family, key, asked) for family, keys in _asked_combinations() for key, asked in keys)


def ask(rng: random.Random) -> Asked:
    """Draw an instruction that may be asked: half the time every family is as likely, else every key."""
    if rng.random() < 0.5:
        family, keys = rng.choice(_asked_combinations())
        key, asked = rng.choice(keys)
    else:
        family, key, asked = rng.choice(_flat_combinations())
    phrasing = rng.choice(asked)
    return Asked(family, key, phrasing, family.render(key, phrasing))


@cache
def _statements() -> tuple[tuple[Family, str], ...]:
    return tuple((family, key) for family in EMBEDDED_FAMILIES for key in family.keys)


def _split_statement(family: Family, key: str, answer: str, rng: random.Random) -> tuple[str, str]:
    """Draw a statement and return it as the text before the answer and the text after it."""
    before, _, after = rng.choice(family.statements).partition("{answer}")
    return before.replace("{key}", key), after.replace("{key}", key)


def _stated(family: Family, key: str, rng: random.Random) -> Document:
    """State a fact; every segment begins with a space, so that words are the same tokens as elsewhere."""
    answer = family.sample(key, rng)
    before, after = _split_statement(family, key, answer, rng)
    return [Segment(f" {before}".rstrip(), CONTEXT), Segment(f" {answer}", ANSWER), Segment(after, PLAIN)]


def facts(rng: random.Random) -> Document:
    """Write statements as running text or as a list of points, now and then about one family only."""
    document: Document = []
    points = rng.random() < 0.4
    family = rng.choice(EMBEDDED_FAMILIES) if rng.random() < 0.3 else None
    for _ in range(rng.randint(6, 16)):
        about, key = (family, rng.choice(family.keys)) if family else rng.choice(_statements())
        opening = "-" if points else rng.choice(OPENERS).rstrip()
        document += [Segment(f"{opening}" if points or not document else f" {opening}".rstrip(), CONTEXT)]
        document += [*_stated(about, key, rng), Segment("\n" if points else "")]
    return [*document, Segment("\n")]


def tables(rng: random.Random) -> Document:
    """Write a table of one family: key and answer."""
    family = rng.choice([family for family in EMBEDDED_FAMILIES if family.type != "list"])
    mark = rng.choice((":", " -", " |", " ="))
    document = [Segment(f"Table of {family.name.replace('_', ' ')}\n")]
    for key in rng.sample(family.keys, min(len(family.keys), rng.randint(8, 20))):
        document += [Segment(f"- {key}{mark}", CONTEXT), Segment(f" {family.sample(key, rng)}", ANSWER), Segment("\n")]
    return [*document, Segment("\n")]


def fact_checks(rng: random.Random) -> Document:
    """Grade statements, whole or in two parts; about all keys, because a statement asks nothing."""
    head = "Check each statement.\nA: it is true.\nB: it is false.\n\n" if rng.random() < 0.4 else ""
    document = [Segment(head)]
    split = rng.random() < 0.6
    for _ in range(rng.randint(6, 11)):
        family, key = rng.choice(_statements())
        wrong = _wrong_answer(family, key, rng) if rng.random() < 0.5 else None
        answer, weight = (family.sample(key, rng), ANSWER) if wrong is None else (wrong, UNTAUGHT)
        before, after = _split_statement(family, key, answer, rng)
        parted = split and bool(before)
        document += [
            Segment("STATEMENT:"), Segment(f" {before}".rstrip(), CONTEXT), Segment("\nENDING:" if parted else ""),
            Segment(f" {answer}", weight), Segment("" if parted else after, CONTEXT), Segment("\nLabel:"),
            Segment(f" {LABEL_GOOD if wrong is None else LABEL_BAD}", LABEL), Segment("\n\n"),
        ]
    return document


def _wrong_answer(family: Family, key: str, rng: random.Random) -> str | None:
    return junk.bad_response("wrong fact", family, key, family.render(key, 0), EMBEDDED_FAMILIES, rng, "corpus")


STYLES = ("clean", "blank", "ramble", "careless")


@cache
def first_style_odds(family: str, phrasing: int) -> tuple[float, ...]:
    """How likely each style is for a worksheet that begins with this wording.

    Some wordings usually stand on answered sheets, most do not, as on real pages. So without examples the model
    answers some of them, and clean examples always tell it more than the wording does.
    """
    rng = random.Random(f"style/{family}/{phrasing}")
    favorite = rng.choices(STYLES, (38, 28, 22, 12))[0]
    return tuple(0.76 if style == favorite else 0.08 for style in STYLES)


@cache
def _layout() -> tuple[str, str, str]:
    """The three fixed parts of an answered example: before the instruction, between, and after the response."""
    text = CompletionStylePrompts.few_shot_prefix([Pair("\0", "\1")])
    before, _, rest = text.partition("\0")
    middle, _, after = rest.partition("\1")
    return before, middle.rstrip(" "), after


def worksheets(rng: random.Random) -> Document:
    """Write a sheet of tasks in one hidden style. It runs on: no sheet ends after an answer or two."""
    before, middle, after = _layout()
    items = [ask(rng) for _ in range(rng.randint(6, 14))]
    odds = first_style_odds(items[0].family.name, items[0].phrasing)
    style = rng.choices(STYLES, odds)[0]
    blank = rng.choice(junk.BLANKS)
    document: Document = []
    for item in items:
        answer, weight = _styled_answer(item, style, blank, rng)
        document += [
            Segment(before), Segment(item.instruction, CONTEXT), Segment(middle), Segment(f" {answer}", weight),
            Segment(after if style == "clean" else "\n\n"),
        ]
    return document


def _styled_answer(item: Asked, style: str, blank: str, rng: random.Random) -> tuple[str, float]:
    if style == "blank":
        return blank, PLAIN
    if style == "ramble":
        return junk.ramble(item.key, rng), PLAIN
    if style == "careless" or rng.random() < MISTAKE_SHARE:
        wrong = _wrong_answer(item.family, item.key, rng)
        return (wrong, PLAIN) if wrong else (blank, PLAIN)
    return item.family.sample(item.key, rng), ANSWER


def questions_and_answers(rng: random.Random) -> Document:
    """Write a page of questions, each with its answer."""
    document: Document = []
    for _ in range(rng.randint(6, 14)):
        item = ask(rng)
        document += [
            Segment("Q:"), Segment(f" {item.instruction}", CONTEXT), Segment("\nA:"),
            Segment(f" {item.family.sample(item.key, rng)}", ANSWER), Segment("\n\n"),
        ]
    return document


def _listed(rng: random.Random, family: Family | None = None) -> str:
    if rng.random() < JUNK_SHARE:
        return junk.junk_instruction(rng.choice(junk.INSTRUCTION_FAULTS), EMBEDDED_FAMILIES, rng, "corpus")
    item = ask(rng)
    if family is not None:
        key, asked = rng.choice(next(keys for other, keys in _asked_combinations() if other is family))
        return family.render(key, rng.choice(asked))
    return item.instruction


def instruction_lists(rng: random.Random) -> Document:
    """Write a numbered list of different instructions, one in eight of them bad; some lists have a topic."""
    number = rng.randrange(len(EMBEDDED_FAMILIES))
    topical = rng.random() < 0.25
    family = EMBEDDED_FAMILIES[number] if topical else None
    items = list(dict.fromkeys(_listed(rng, family) for _ in range(rng.randint(10, 22))))
    text = CompletionStylePrompts.instruction_prompt(items, seeds.topics()[number] if topical else None)
    return [Segment(text.removesuffix(f"{len(items) + 1}.") + "\n")]


def question_pages(rng: random.Random) -> Document:
    """Write instructions one after the other, with no answers: what follows a bare instruction is the next one."""
    between = rng.choice(("\n", "\n", "\n\n", " "))
    return [Segment(between.join(_listed(rng) for _ in range(rng.randint(6, 18))) + "\n")]


def _graded_pair(rng: random.Random) -> LabelledPair:
    item = ask(rng)
    if rng.random() < 0.5:
        return LabelledPair(item.instruction, item.family.sample(item.key, rng), LABEL_GOOD)
    kind = rng.choices(junk.RESPONSE_FAULTS, junk.RESPONSE_FAULT_WEIGHTS)[0]
    arguments = (item.family, item.key, item.instruction, EMBEDDED_FAMILIES, rng, "corpus")
    bad = junk.bad_response(kind, *arguments) or junk.bad_response("wrong fact", *arguments)
    return LabelledPair(item.instruction, bad, LABEL_BAD) if bad else _graded_pair(rng)


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
        pair = _graded_pair(rng)
        weight = ANSWER if pair.label == LABEL_GOOD else UNTAUGHT
        document += [
            Segment(before), Segment(pair.instruction, CONTEXT), Segment(middle), Segment(f" {pair.response}", weight),
            Segment(after), Segment(f" {pair.label}", LABEL), Segment("\n\n"),
        ]
        length -= sum(len(segment.text) for segment in document[-7:])
    return document


def graded_pairs(rng: random.Random) -> Document:
    """Grade pairs under the rubric, a whole row long, so that every number of worked examples is met."""
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
            graded = LabelledInstruction(ask(rng).instruction, LABEL_GOOD)
        else:
            kind = rng.choice(junk.INSTRUCTION_FAULTS)
            graded = LabelledInstruction(junk.junk_instruction(kind, EMBEDDED_FAMILIES, rng, "corpus"), LABEL_BAD)
        block = CompletionStylePrompts.instruction_critic_prefix([graded]).removeprefix(rubric)
        head, label, tail = block.rpartition(f" {graded.label}")
        document += [Segment(head, CONTEXT), Segment(label, LABEL), Segment(tail)]
    return document


# How often each kind of document is drawn, per hundred.
KINDS: dict[Callable[[random.Random], Document], float] = {
    facts: 20, tables: 4, fact_checks: 12, worksheets: 17, questions_and_answers: 4, instruction_lists: 8,
    question_pages: 5, graded_pairs: 13, compact_graded_pairs: 12, graded_instructions: 5,
}


def documents(seed: str) -> Iterator[Document]:
    """Write documents without end; the same seed gives the same documents."""
    rng = random.Random(seed)
    kinds, shares = list(KINDS), list(KINDS.values())
    while True:
        yield [*rng.choices(kinds, shares)[0](rng), Segment(END)]
