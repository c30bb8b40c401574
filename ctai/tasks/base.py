"""What an instruction family is, and the three kinds of keyed families: table, letter and list.

Owns rendering, parsing back and the common part of checking. The facts live in ``world``, the families
themselves in ``embedded`` and ``large``.
"""

from __future__ import annotations

import itertools
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ctai.prompts import CompletionStylePrompts
from ctai.tasks import matching

MAX_WORDS = 25
MAX_INSTRUCTION_CHARS = 1000

TYPES = ("fact", "word", "number", "list", "format", "explain", "translate", "safety")


class Verdict(NamedTuple):
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

    def check(self, instruction: str, response: str, finish_reason: str | None = None) -> Verdict:
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
        return Verdict(not reason, not reason and stopped, reason)

    def _reason(self, key: str, instruction: str, text: str) -> str:
        if not text:
            return "empty"
        if len(text) > matching.MAX_CHARS:
            return "too long"
        if normalize(text) == instruction:
            return "echo"
        return self.judge(key, text)


@dataclass(frozen=True, eq=False)
class TableFamily(Family):
    """A family whose answers are looked up in a table and recognized in free text.

    ``table`` holds the accepted answers of each key. ``numeric`` compares numbers, also when they
    are written as words.
    ``case_sensitive`` is for answers that case tells apart, such as chemical symbols.
    """

    table: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numeric: bool = False
    case_sensitive: bool = False

    def accepted(self, key: str) -> tuple[str, ...]:
        """Return all accepted short answers, the canonical one first."""
        return self.table[key]

    def judge(self, key: str, text: str) -> str:
        """Return why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if len(text.split()) > MAX_WORDS:
            return "too long"
        tokens = self._tokens(text)
        roles = self._roles(key, tokens)
        allowed = {token.casefold() for phrase, role in roles.items() if role != "rival" for token in phrase}
        mentions = matching.find_mentions(tokens, roles)
        if not any(mention.role == "answer" for mention in mentions):
            return "refusal" if matching.is_refusal(text) else "wrong answer"
        affirmed = [mention for mention in mentions if not matching.is_negated(tokens, mention, allowed)]
        right = [mention for mention in affirmed if mention.role == "answer"]
        if not right:
            return "negated"
        if len(right) > matching.MAX_REPEATS:
            return "repeated"
        known = allowed | self._own_words(key)
        if any(mention.role == "rival" for mention in affirmed) or any(
            matching.has_alternative(tokens, mention, known, self._answer_words(key)) for mention in right
        ):
            return "several answers"
        misplaced = right[0].start >= matching.answer_region(tokens, self._own_words(key))
        return "wrong answer" if misplaced or matching.has_stray_words(tokens, mentions, known) else ""

    def _tokens(self, text: str) -> list[str]:
        return matching.tokenize(text, fold=not self.case_sensitive, numeric=self.numeric)

    def _roles(self, key: str, tokens: list[str]) -> dict[matching.Phrase, str]:
        """Say what each phrase would mean in a response: the answer, the question, or a rival."""
        roles = self._rival_phrases.copy()
        if self.numeric:
            # "one" is more often a pronoun than a number.
            roles |= {(token,): "rival" for token in tokens if matching.is_number(token) and token != "1"}
        # Parts of the question are no rivals when they come back in the answer.
        roles |= self._question_phrases
        roles |= {(token,): "question" for token in self._tokens(key)}
        roles[tuple(self._tokens(key))] = "question"
        return roles | {tuple(self._tokens(answer)): "answer" for answer in self.accepted(key)}

    @cached_property
    def _rival_phrases(self) -> dict[matching.Phrase, str]:
        phrases = (tuple(self._tokens(candidate)) for candidate in self.candidates())
        return {phrase: "rival" for phrase in phrases if phrase[0] not in matching.SOFT}

    @cached_property
    def _question_phrases(self) -> dict[matching.Phrase, str]:
        return {(token,): "question" for phrase in self.phrasings for token in self._tokens(phrase)}

    @cached_property
    def _template_words(self) -> frozenset[str]:
        return frozenset(matching.tokenize(" ".join((*self.phrasings, *self.statements))))

    def _own_words(self, key: str) -> frozenset[str]:
        """Return the words of question and statement, which take up the question and are no second answer."""
        return self._template_words | frozenset(matching.tokenize(key, numeric=self.numeric))

    def _answer_words(self, key: str) -> frozenset[str]:
        return frozenset(token.casefold() for answer in self.accepted(key) for token in self._tokens(answer))


@dataclass(frozen=True, eq=False)
class LetterFamily(TableFamily):
    """A family whose answer is one letter, which must not be confused with the article "a" or the pronoun
    "I"."""

    def judge(self, key: str, text: str) -> str:
        """Return why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if len(text.split()) > MAX_WORDS:
            return "too long"
        tokens = self._tokens(text)
        # A quoted letter is always meant as a letter.
        quoted = set(re.findall(r"[\"'*`]([a-z])[\"'*`.,]", matching.plain(text).casefold()))
        places = [index for index in range(len(tokens)) if _names_letter(tokens, index, quoted)]
        if not places:
            return "refusal" if matching.is_refusal(text) else "wrong answer"
        named = [
            index
            for index in places
            if not matching.is_negated(tokens, matching.Mention(index, index + 1, "letter"), ())
        ]
        letters = {tokens[index] for index in named}
        if not letters:
            return "negated"
        if self.answer(key) not in letters:
            return "wrong answer"
        return "" if len(letters) == 1 else "several answers"


def _names_letter(tokens: list[str], index: int, quoted: set[str]) -> bool:
    """Whether the token is the name of a letter: ``a`` and ``i`` only where the place shows that they are."""
    token = tokens[index]
    if len(token) != 1 or not token.isalpha():
        return False
    if token not in "ai" or token in quoted:
        return True
    before = tokens[index - 1] if index else ""
    after = tokens[index + 1] if index + 1 < len(tokens) else "."
    ends = after in ".,;:!?\n)/" or after in ("or", "and")
    return ends or before == "letter" or (index == 0 and after == "is")


@dataclass(frozen=True, eq=False)
class ListFamily(Family):
    """A family that asks for a number of different members of a category, such as "two fruits"."""

    counts: Mapping[str, int] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def accepted(self, key: str) -> tuple[str, ...]:
        """Return one right answer for each place in the member list at which it can start."""
        members, count = self.members[key], self.counts[key]
        return tuple(join_list(members[at : at + count]) for at in range(len(members) - count + 1))

    def sample(self, key: str, rng: random.Random) -> str:
        """Draw different members in random order."""
        return join_list(rng.sample(self.members[key], self.counts[key]))

    def judge(self, key: str, text: str) -> str:
        """Return why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if len(text.split()) > MAX_WORDS:
            return "too long"
        items = split_list(_without_frame(text, key))
        if not items:
            return "refusal" if matching.is_refusal(text) else "wrong answer"
        if any(item not in self.others[key] for item in items):
            return "refusal" if matching.is_refusal(text) else "wrong answer"
        if len({self._singular(item) for item in items}) < len(items):
            return "repeated"
        return "" if len(items) == self.counts[key] else "wrong count"

    @staticmethod
    def _singular(item: str) -> str:
        for plural, singular in (("ies", "y"), ("oes", "o"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", "")):
            if item.endswith(plural):
                return item[: -len(plural)] + singular
        return item


def join_list(items: tuple[str, ...] | list[str]) -> str:
    """Write two or more items as English does: "a and b", "a, b and c"."""
    return f"{', '.join(items[:-1])} and {items[-1]}"


def split_list(text: str) -> list[str]:
    """Split an enumeration by commas, semicolons, line ends, "and" and list numbers, and drop the articles."""
    text = re.sub(r"(?m)^\s*(?:[-*\u2022]|\d{1,2}[.)])\s+", "", matching.plain(text).casefold())
    parts = (part.strip(" .!*-\"'`\t") for part in re.split(r"[,;\n&]|\band\b|\s\d{1,2}[.)]\s", text))
    items = (re.sub(r"^(?:an?|the|some|or|\d{1,2}[.)])\s+", "", part) for part in parts)
    return [item for item in items if item]


def _without_frame(text: str, key: str) -> str:
    """Drop "Here are two fruits:" before the list, or "are two fruits" after it."""
    count, _, noun = key.partition(" ")
    what = rf"(?:(?:{count}|some|the|examples? of|different)\s+)*{re.escape(noun)}"
    text = re.sub(rf"(?i)^\s*(?:sure[,!.]\s*)?(?:here (?:are|is)\s+)?{what}\s*(?:are|:|\bis\b|-)\s*", "", text)
    text = re.sub(rf"(?i)^\s*here are\s*:\s*|^\s*an example of {what} is\s+", "", text)
    return re.sub(rf"(?i)\s+are\s+{what}\s*[.!]*\s*$", "", text)
