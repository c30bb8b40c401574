"""Parts of the documents of the corpus: weighted text, instructions, facts, bad answers.

Owns the loss weights and the sampling of instructions and statements; the kinds of documents are in ``corpus`` and
``graded``. Instructions are sampled from the combinations that are not held out, statements from all.
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
KEY = 0.05  # the keys of instructions: otherwise the model memorizes which keys never occur in which wording
LIST_SHARE = 0.05


class Segment(NamedTuple):
    """Piece of text with the loss weight of its tokens."""

    text: str
    weight: float = PLAIN


Document = list[Segment]


class CorpusInstruction(NamedTuple):
    """Instruction with its family, key and wording."""

    family: Family
    key: str
    phrasing: int
    instruction: str

    def segments(self, lead: str = " ", weight: float = CONTEXT) -> Document:
        """Return the instruction with a lower weight of its key; a space belongs to the word after it."""
        before, _, after = self.family.phrasings[self.phrasing].partition("{key}")
        return [
            Segment(f"{lead}{before}".rstrip(), weight),
            Segment(f" {self.key}", weight * KEY),
            Segment(after, weight),
        ]


@cache
def corpus_combinations() -> tuple[tuple[Family, tuple[tuple[str, tuple[int, ...]], ...]], ...]:
    """Return for each family its keys that are not held out, each with the wordings that the corpus uses."""
    return tuple(
        (family, tuple((key, phrasings) for key in family.keys if (phrasings := corpus_phrasings(family.name, key))))
        for family in EMBEDDED_FAMILIES
    )


@cache
def _flat_combinations() -> tuple[tuple[Family, str, tuple[int, ...]], ...]:
    return tuple((family, key, phrasings) for family, keys in corpus_combinations() for key, phrasings in keys)


def draw_instruction(rng: random.Random) -> CorpusInstruction:
    """Draw an instruction that is not held out: half the time uniformly over families, else uniformly over keys."""
    kind = rng.random()
    if kind < 0.5:
        family, keys = corpus_combinations()[-1] if kind < LIST_SHARE else rng.choice(corpus_combinations())
        key, phrasings = rng.choice(keys)
    else:
        family, key, phrasings = rng.choice(_flat_combinations())
    phrasing = rng.choice(phrasings)
    return CorpusInstruction(family, key, phrasing, family.render(key, phrasing))


@cache
def every_fact() -> tuple[tuple[Family, str], ...]:
    """Return all combinations of family and key, held-out ones included."""
    return tuple((family, key) for family in EMBEDDED_FAMILIES for key in family.keys)


def split_statement(family: Family, key: str, rng: random.Random) -> tuple[str, str]:
    """Draw a statement and return it as the text before the answer and the text after it."""
    before, _, after = rng.choice(family.statements).partition("{answer}")
    return before.replace("{key}", key), after.replace("{key}", key)


def right_answer(family: Family, key: str, rng: random.Random) -> str:
    """Draw a right answer; an enumeration mostly in its usual order, which a small model learns not to repeat."""
    return rng.choice(family.accepted(key)) if family.type == "list" and rng.random() < 0.8 else family.sample(key, rng)


def stated(family: Family, key: str, lead: str, rng: random.Random) -> Document:
    """Return a fact as a statement; within a line it starts with a space, so that words keep their tokens."""
    before, after = split_statement(family, key, rng)
    answer = Segment(f"{' ' if before else lead}{right_answer(family, key, rng)}", ANSWER)
    return [Segment(f"{lead}{before}".rstrip() if before else "", CONTEXT), answer, Segment(after, PLAIN)]


def wrong_answer(family: Family, key: str, rng: random.Random) -> str | None:
    """Draw the answer of another key; None if there is no such answer that is wrong."""
    return negatives.bad_response("wrong fact", family, key, family.render(key, 0), EMBEDDED_FAMILIES, rng, "corpus")


def bad_answer(item: CorpusInstruction, rng: random.Random) -> str | None:
    """Draw a response with a random fault; None if the fault does not apply to the instruction."""
    kind = rng.choices(negatives.RESPONSE_FAULTS, negatives.RESPONSE_FAULT_WEIGHTS)[0]
    family, key, _, instruction = item
    return negatives.bad_response(kind, family, key, instruction, EMBEDDED_FAMILIES, rng, "corpus")


def text_of(document: Document) -> str:
    """Return the text of a document without its weights."""
    return "".join(segment.text for segment in document)
