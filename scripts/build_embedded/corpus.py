"""Synthetic pretraining corpus of the embedded base model.

Owns the kinds of documents and their shares. Facts come from ``ctai.tasks``, every prompt-like layout from
``ctai.prompts``, bad instructions and responses from ``ctai.tasks.negatives``. A document is a list of segments, each a
text and its weight in the loss.

Held-out combinations occur only in statements, tables and graded statements: no document asks for them.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache

from ctai.prompts import CompletionStylePrompts, Pair
from ctai.tasks import negatives, seeds
from ctai.tasks.base import Family
from ctai.tasks.registry import EMBEDDED_FAMILIES
from scripts.build_embedded.graded import compact_graded_pairs, fact_checks, graded_instructions, graded_pairs
from scripts.build_embedded.pages import (
    ANSWER,
    CONTEXT,
    END,
    PLAIN,
    CorpusInstruction,
    Document,
    Segment,
    bad_answer,
    corpus_combinations,
    draw_instruction,
    every_fact,
    right_answer,
    stated,
    text_of,
    wrong_answer,
)

JUNK_SHARE = 0.13
MISTAKE_SHARE = 0.10
ANSWERED_SHARE = 0.33  # of the keys times wordings: those that usually begin a list with correct answers
OPENERS = (
    "",
    "",
    "",
    "",
    "Everybody knows this: ",
    "It is true that",
    "Remember:",
    "Note:",
    "In this book we read:",
    "A child learns that",
    "People say that",
    "As we know,",
)


def facts(rng: random.Random) -> Document:
    """Write statements as running text, lines or a list of points, sometimes about one family only."""
    layout = rng.choice(("text", "text", "lines", "points"))
    family = rng.choice(EMBEDDED_FAMILIES) if rng.random() < 0.3 else None
    document: Document = []
    for _ in range(rng.randint(6, 16)):
        about, key = (family, rng.choice(family.keys)) if family else rng.choice(every_fact())
        lead = "" if layout == "lines" or not document else " "
        opening = {"text": rng.choice(OPENERS), "lines": "", "points": "-"}[layout].strip()
        if opening:
            document.append(Segment(f"{'' if layout == 'points' else lead}{opening}", CONTEXT))
            lead = " "
        document += [*stated(about, key, lead, rng), Segment("" if layout == "text" else "\n")]
    return [*document, Segment("\n")]


def tables(rng: random.Random) -> Document:
    """Write a table of one family: key and answer."""
    family = rng.choice([family for family in EMBEDDED_FAMILIES if family.type != "list"])
    mark = rng.choice((":", " -", " |", " ="))
    document = [Segment(f"Table of {family.name.replace('_', ' ')}\n")]
    for key in rng.sample(family.keys, min(len(family.keys), rng.randint(8, 20))):
        document += [
            Segment(f"- {key}{mark}", CONTEXT),
            Segment(f" {right_answer(family, key, rng)}", ANSWER),
            Segment("\n"),
        ]
    return [*document, Segment("\n")]


STYLES = ("clean", "blank", "ramble", "careless")


@cache
def favorite_styles() -> dict[tuple[str, int], str]:
    """Return the usual answer style of the lists that begin with a wording, by family and wording.

    Some wordings usually begin lists with correct answers, most do not, as in real corpora. So without examples the
    model answers some of them, and clean examples always tell it more than the wording does.
    """
    rng = random.Random("styles")
    wordings = [(family, phrasing) for family in EMBEDDED_FAMILIES for phrasing in range(len(family.phrasings))]
    total = sum(len(family.keys) / len(family.phrasings) for family, _ in wordings)
    favorites, answered = {}, 0.0
    for family, phrasing in rng.sample(wordings, len(wordings)):
        mass = len(family.keys) / len(family.phrasings) / total
        clean = answered + mass <= ANSWERED_SHARE
        answered += mass if clean else 0
        favorites[family.name, phrasing] = "clean" if clean else rng.choices(STYLES[1:], (28, 22, 12))[0]
    return favorites


def first_style_odds(family: str, phrasing: int) -> tuple[float, ...]:
    """Return the probability of each answer style for a list that begins with this wording."""
    favorite = favorite_styles()[family, phrasing]
    return tuple(0.76 if style == favorite else 0.08 for style in STYLES)


@cache
def _layout() -> tuple[str, str, str]:
    """Return the fixed parts of an example: before the instruction, between instruction and response, and after it."""
    text = CompletionStylePrompts.few_shot_prefix([Pair("\0", "\1")])
    before, _, rest = text.partition("\0")
    middle, _, after = rest.partition("\1")
    return before, middle.rstrip(" "), after


def worksheets(rng: random.Random) -> Document:
    """Write a list of answered tasks in one answer style; no list ends after one or two answers."""
    before, middle, after = _layout()
    items = [draw_instruction(rng) for _ in range(rng.randint(6, 14))]
    odds = first_style_odds(items[0].family.name, items[0].phrasing)
    style = rng.choices(STYLES, odds)[0]
    blank = rng.choice(negatives.BLANKS)
    document: Document = []
    for item in items:
        answer, weight = _styled_answer(item, style, blank, rng)
        document += [
            Segment(before.rstrip()),
            *item.segments(),
            Segment(middle),
            Segment(f" {answer}", weight),
            Segment(after if style == "clean" else "\n\n"),
        ]
    return document


def _styled_answer(item: CorpusInstruction, style: str, blank: str, rng: random.Random) -> tuple[str, float]:
    if style == "blank":
        return blank, PLAIN
    if style == "ramble":
        return negatives.ramble(item.key, rng), PLAIN
    if style == "careless":
        return wrong_answer(item.family, item.key, rng) or blank, PLAIN
    bad = bad_answer(item, rng) if rng.random() < MISTAKE_SHARE else None
    return (bad, PLAIN) if bad else (right_answer(item.family, item.key, rng), ANSWER)


def questions_and_answers(rng: random.Random) -> Document:
    """Write a list of questions, each with its answer."""
    document: Document = []
    for _ in range(rng.randint(6, 14)):
        item = draw_instruction(rng)
        document += [
            Segment("Q:"),
            *item.segments(),
            Segment("\nA:"),
            Segment(f" {right_answer(item.family, item.key, rng)}", ANSWER),
            Segment("\n\n"),
        ]
    return document


def _listed(rng: random.Random, family: Family | None = None) -> Document:
    """Draw an item of a list: a good instruction or, one time in eight, a bad one."""
    if rng.random() < JUNK_SHARE:
        kind = rng.choice(negatives.INSTRUCTION_FAULTS)
        return [Segment(f" {negatives.bad_instruction(kind, EMBEDDED_FAMILIES, rng, 'corpus')}")]
    if family is None:
        return draw_instruction(rng).segments(weight=PLAIN)
    key, phrasings = rng.choice(next(keys for other, keys in corpus_combinations() if other is family))
    return CorpusInstruction(family, key, rng.choice(phrasings), "").segments(weight=PLAIN)


def instruction_lists(rng: random.Random) -> Document:
    """Write a numbered list of different instructions, one in eight of them bad; some lists have a topic."""
    number = rng.randrange(len(EMBEDDED_FAMILIES))
    topical = rng.random() < 0.25
    family = EMBEDDED_FAMILIES[number] if topical else None
    items = {text_of(item): item for item in (_listed(rng, family) for _ in range(rng.randint(10, 22)))}
    topic = seeds.topics()[number] if topical else None
    rest = CompletionStylePrompts.instruction_prompt([text[1:] for text in items], topic)
    document: Document = []
    for text, item in items.items():
        before, _, rest = rest.partition(text)
        document += [Segment(before), *item]
    return [*document, Segment("\n\n")]


def question_pages(rng: random.Random) -> Document:
    """Write instructions without answers: a bare instruction is followed by the next one."""
    between = rng.choice(("\n", "\n", "\n\n", ""))
    document: Document = []
    for _ in range(rng.randint(6, 18)):
        first, *rest = _listed(rng)
        lead = " " if document and not between else ""
        document += [Segment(lead + first.text[1:], first.weight), *rest, Segment(between)]
    return [*document, Segment("\n")]


# Share of each kind of document, in percent. The first line of each docstring is in the model card.
KINDS: dict[Callable[[random.Random], Document], float] = {
    facts: 20,
    tables: 4,
    fact_checks: 12,
    worksheets: 17,
    questions_and_answers: 4,
    instruction_lists: 8,
    question_pages: 5,
    graded_pairs: 13,
    compact_graded_pairs: 12,
    graded_instructions: 5,
}


def documents(seed: str) -> Iterator[Document]:
    """Yield documents endlessly; the same seed yields the same documents."""
    rng = random.Random(seed)
    kinds, shares = list(KINDS), list(KINDS.values())
    while True:
        yield [*rng.choices(kinds, shares)[0](rng), Segment(END)]
