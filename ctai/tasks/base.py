"""What an instruction family is: a kind of instruction with keys, and how any answer to it is checked.

Owns rendering, parsing back and the common part of checking. The kinds of families are in ``tables``, ``lists``
and ``rules``, the facts in ``world``, the families themselves in ``embedded`` and ``large``.
"""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ctai.prompts import CompletionStylePrompts
from ctai.tasks.matching import answers

MAX_WORDS = 25  # no short answer needs a longer sentence
MAX_EXPLAINED_WORDS = 60  # nor more words with all that explains it
MAX_INSTRUCTION_CHARS = 1000

TYPES = ("fact", "word", "number", "list", "format", "translate", "safety")


class Score(NamedTuple):
    """Whether a response is right up to the cut (content), and whether the model also stopped there
    (strict)."""

    content: bool
    strict: bool
    reason: str


def normalize(instruction: str) -> str:
    """Return the form under which instructions are compared: case, spaces and final punctuation drop out."""
    return " ".join(instruction.casefold().split()).rstrip(" .?!:")


@dataclass(frozen=True, eq=False)
class Family(ABC):
    """A kind of instruction that is asked about many keys and whose answers a program can check."""

    name: str
    type: str
    embedded: bool
    phrasings: tuple[str, ...]
    statements: tuple[str, ...]
    keys: tuple[str, ...]

    @abstractmethod
    def accepted(self, key: str) -> tuple[str, ...]:
        """Return all accepted short answers, the canonical one first."""

    @abstractmethod
    def judge(self, key: str, text: str) -> str:
        """Return why a cleaned, non-empty response is wrong; an empty string if it is right."""

    def answer(self, key: str) -> str:
        """Return the canonical short answer."""
        return self.accepted(key)[0]

    def sample(self, key: str, rng: random.Random) -> str:
        """Return a right answer; families with many right answers draw one."""
        return self.answer(key)

    def candidates(self) -> tuple[str, ...]:
        """Return every canonical answer once, in the order of the keys."""
        return self._candidates

    @cached_property
    def _candidates(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.answer(key) for key in self.keys))

    @cached_property
    def index(self) -> Mapping[str, str]:
        """Map every normalized instruction of the family to its key."""
        pairs = itertools.product(self.keys, range(len(self.phrasings)))
        return {normalize(self.render(key, phrasing)): key for key, phrasing in pairs}

    def render(self, key: str, phrasing: int) -> str:
        """Return the instruction that asks for ``key`` in the given wording."""
        return self.phrasings[phrasing].replace("{key}", key)

    def instruction(self, rng: random.Random) -> str:
        """Draw an instruction."""
        return self.render(rng.choice(self.keys), rng.randrange(len(self.phrasings)))

    def parse(self, instruction: str) -> str | None:
        """Return the key if the text is an instruction of this family."""
        if len(instruction) > MAX_INSTRUCTION_CHARS:
            return None
        return self.index.get(normalize(instruction))

    def check(self, instruction: str, response: str, finish_reason: str | None = None) -> Score:
        """Judge a raw response.

        Args:
            instruction: An instruction of this family.
            response: What the model wrote, uncut.
            finish_reason: Why generation ended, if known; only ``eos`` is a stop by the model itself.

        Raises:
            ValueError: If the instruction is not one of this family.
        """
        key = self.parse(instruction)
        if key is None:
            raise ValueError(f"not an instruction of family {self.name!r}: {instruction[:80]!r}")
        text = CompletionStylePrompts.clean_response(response).strip()
        reason = self._reason(key, normalize(instruction), text)
        stopped = response.strip() == text and finish_reason in (None, "eos")
        return Score(not reason, not reason and stopped, reason)

    def _reason(self, key: str, instruction: str, text: str) -> str:
        if not text:
            return "empty"
        if len(text) > answers.MAX_CHARS:
            return "too long"
        if normalize(text) == instruction:
            return "echo"
        return self.judge(key, text)
