"""What the pages of the corpus are made of: weighted text, instructions that may be asked, facts, bad answers.

Owns the loss weights and the drawing of instructions and statements; the kinds of pages are in ``corpus`` and
``graded``. Instructions are drawn from asked combinations only, statements from all.
"""

import random
from functools import cache
from typing import NamedTuple

from ctai.tasks import negatives
from ctai.tasks.base import Family
from ctai.tasks.heldout import corpus_phrasings
from ctai.tasks.registry import EMBEDDED_FAMILIES

END = "<|endoftext|>"
PLAIN, CONTEXT, ANSWER, LABEL, UNTAUGHT = 1.0, 0.4, 2.0, 8.0, 0.0
KEY = 0.05  # the keys of instructions: else the model would learn by heart which are never asked in which wording
LIST_SHARE = 0.05


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

    def segments(self, lead: str = " ", weight: float = CONTEXT) -> Document:
        """Return the instruction with its key weighted down; spaces go to the word that follows them."""
        before, _, after = self.family.phrasings[self.phrasing].partition("{key}")
        return [
            Segment(f"{lead}{before}".rstrip(), weight),
            Segment(f" {self.key}", weight * KEY),
            Segment(after, weight),
        ]


@cache
def asked_combinations() -> tuple[tuple[Family, tuple[tuple[str, tuple[int, ...]], ...]], ...]:
    return tuple(
        (family, tuple((key, asked) for key in family.keys if (asked := corpus_phrasings(family.name, key))))
        for family in EMBEDDED_FAMILIES
    )


@cache
def _flat_combinations() -> tuple[tuple[Family, str, tuple[int, ...]], ...]:
    return tuple((family, key, asked) for family, keys in asked_combinations() for key, asked in keys)


def ask(rng: random.Random) -> Asked:
    """Draw an instruction that may be asked: half the time every family is as likely, else every key."""
    kind = rng.random()
    if kind < 0.5:
        family, keys = asked_combinations()[-1] if kind < LIST_SHARE else rng.choice(asked_combinations())
        key, asked = rng.choice(keys)
    else:
        family, key, asked = rng.choice(_flat_combinations())
    phrasing = rng.choice(asked)
    return Asked(family, key, phrasing, family.render(key, phrasing))


@cache
def every_fact() -> tuple[tuple[Family, str], ...]:
    return tuple((family, key) for family in EMBEDDED_FAMILIES for key in family.keys)


def split_statement(family: Family, key: str, rng: random.Random) -> tuple[str, str]:
    """Draw a statement and return it as the text before the answer and the text after it."""
    before, _, after = rng.choice(family.statements).partition("{answer}")
    return before.replace("{key}", key), after.replace("{key}", key)


def right_answer(family: Family, key: str, rng: random.Random) -> str:
    """Draw a right answer; an enumeration mostly in its usual order, which a small model learns not to repeat."""
    return rng.choice(family.accepted(key)) if family.type == "list" and rng.random() < 0.8 else family.sample(key, rng)


def stated(family: Family, key: str, lead: str, rng: random.Random) -> Document:
    """State a fact; inside a line it begins with a space, so that words are the same tokens as elsewhere."""
    before, after = split_statement(family, key, rng)
    answer = Segment(f"{' ' if before else lead}{right_answer(family, key, rng)}", ANSWER)
    return [Segment(f"{lead}{before}".rstrip() if before else "", CONTEXT), answer, Segment(after, PLAIN)]


def wrong_answer(family: Family, key: str, rng: random.Random) -> str | None:
    return negatives.bad_response("wrong fact", family, key, family.render(key, 0), EMBEDDED_FAMILIES, rng, "corpus")


def bad_answer(item: Asked, rng: random.Random) -> str | None:
    kind = rng.choices(negatives.RESPONSE_FAULTS, negatives.RESPONSE_FAULT_WEIGHTS)[0]
    family, key, _, instruction = item
    return negatives.bad_response(kind, family, key, instruction, EMBEDDED_FAMILIES, rng, "corpus")


def text_of(document: Document) -> str:
    return "".join(segment.text for segment in document)
