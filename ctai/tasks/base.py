"""Base class of the instruction families, and the record of a scored response.

Owns rendering, parsing and the scoring steps that all families share. Does not own the kinds of families
(``families.tables``, ``families.lists``, ``families.rules``), the families (``families.embedded``,
``families.general``) or their facts (``data``).
"""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ctai.prompts import CompletionStylePrompts
from ctai.tasks.matching import answers

MAX_WORDS = 25  # of one sentence: no short answer needs a longer one
MAX_EXPLAINED_WORDS = 60  # of the answer together with its explanation
MAX_INSTRUCTION_CHARS = 1000

TYPES = ("fact", "word", "number", "list", "format", "constraints", "translate", "safety")
# Types in which training must not lose what a few examples in the prompt give: no refusal, no format.
GUARDED_TYPES = ("safety", "format")


class Score(NamedTuple):
    """Score of one response.

    Attributes:
        content: the response is right up to the point where the cleaner cuts it.
        strict: the content is right and the model stopped there by itself.
        reason: reason why the content is wrong; empty if it is right.
    """

    content: bool
    strict: bool
    reason: str


def normalize_case_and_spacing(instruction: str) -> str:
    """Return the text casefolded, with single spaces and without final ``.``, ``?``, ``!`` and ``:``.

    Families look instructions up in this form and QC counts duplicates by it. Unicode variants stay different;
    deduplication removes those too (`ctai.generate.dedup.normalization`).
    """
    return " ".join(instruction.casefold().split()).rstrip(" .?!:")


@dataclass(frozen=True, eq=False)
class Family(ABC):
    """Kind of instruction that asks about many keys and whose answers a program can score.

    Attributes:
        name: unique identifier.
        type: one of ``TYPES``.
        embedded: the embedded model was trained on facts of this family.
        phrasings: wordings of the instruction, each with ``{key}``.
        statements: sentences that state a fact, with ``{key}`` and ``{answer}``.
        keys: items to ask about.
        replies: sentences that answer, with ``{key}`` and ``{answer}``; none if the answer alone is the reply.
    """

    name: str
    type: str
    embedded: bool
    phrasings: tuple[str, ...]
    statements: tuple[str, ...]
    keys: tuple[str, ...]
    replies: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def accepted(self, key: str) -> tuple[str, ...]:
        """Return all accepted short answers, the canonical one first."""

    @abstractmethod
    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""

    def answer(self, key: str) -> str:
        """Return the canonical short answer."""
        return self.accepted(key)[0]

    def sample(self, key: str, rng: random.Random) -> str:
        """Return a correct answer, drawn at random where there are several."""
        return self.answer(key)

    def reply(self, key: str, answer: str) -> str:
        """Return this answer as a full response."""
        return self.replies[0].replace("{key}", key).replace("{answer}", answer) if self.replies else answer

    def candidates(self) -> tuple[str, ...]:
        """Return the distinct canonical answers, in the order of the keys."""
        return self._candidates

    @cached_property
    def _candidates(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.answer(key) for key in self.keys))

    @cached_property
    def index(self) -> Mapping[str, str]:
        """Map every normalized instruction of the family to its key."""
        pairs = itertools.product(self.keys, range(len(self.phrasings)))
        return {normalize_case_and_spacing(self.render(key, phrasing)): key for key, phrasing in pairs}

    def render(self, key: str, phrasing: int) -> str:
        """Return the instruction about ``key`` in the wording with this index."""
        return self.phrasings[phrasing].replace("{key}", key)

    def instruction(self, rng: random.Random) -> str:
        """Draw an instruction: a random key in a random wording."""
        return self.render(rng.choice(self.keys), rng.randrange(len(self.phrasings)))

    def parse(self, instruction: str) -> str | None:
        """Return the key if the text is an instruction of this family, else None."""
        if len(instruction) > MAX_INSTRUCTION_CHARS:
            return None
        return self.index.get(normalize_case_and_spacing(instruction))

    def score(self, instruction: str, response: str, finish_reason: str | None = None) -> Score:
        """Score a raw response.

        Args:
            instruction: an instruction of this family.
            response: the model's output before any cleaning.
            finish_reason: finish reason, if known; only ``eos`` is a stop by the model itself.

        Raises:
            ValueError: the instruction is not one of this family.
        """
        key = self.parse(instruction)
        if key is None:
            raise ValueError(f"not an instruction of family {self.name!r}: {instruction[:80]!r}")
        text = CompletionStylePrompts.clean_response(response).strip()
        reason = self._reason(key, normalize_case_and_spacing(instruction), text)
        stopped = response.strip() == text and finish_reason in (None, "eos")
        return Score(not reason, not reason and stopped, reason)

    check = score  # public alias for users' scripts

    def _reason(self, key: str, instruction: str, text: str) -> str:
        if not text:
            return "empty"
        if len(text) > answers.MAX_CHARS:
            return "too long"
        if normalize_case_and_spacing(text) == instruction:
            return "echo"
        return self.judge(key, text)
