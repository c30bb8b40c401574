"""Families that ask for some members of a category, such as "two fruits".

Owns the reading of enumerations: bare, numbered, with a frame around them, or spread over a sentence.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ctai.tasks.base import MAX_EXPLAINED_WORDS, MAX_WORDS, Family
from ctai.tasks.data.lexicon import words
from ctai.tasks.matching import answers
from ctai.tasks.matching.claims import MIN_EXPLANATION_WORDS

# Words that a sentence around the members may have: "One is the owl, another is the robin."
_FRAME = frozenset(
    words(
        "a an the is are one two three another other others both first second third and as well such like for example "
        "examples include includes included i would could can you name list say choose pick think of here there be some so "
        "my answer answers known common popular sure yes these they we know to me give , . : ; ! ( )"
    )
)


@dataclass(frozen=True, eq=False)
class ListFamily(Family):
    """Family that asks for a number of different members of a category, such as "two fruits".

    Attributes:
        counts: number of members that each key asks for.
        members: members that sampled answers use, for each key.
        others: all members that score as correct, for each key: casefolded, in singular and plural.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def accepted(self, key: str) -> tuple[str, ...]:
        """Return one correct answer for each position in ``members`` at which it can start."""
        members, count = self.members[key], self.counts[key]
        return tuple(join_list(members[at : at + count]) for at in range(len(members) - count + 1))

    def sample(self, key: str, rng: random.Random) -> str:
        """Draw different members in random order."""
        return join_list(rng.sample(self.members[key], self.counts[key]))

    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if answers.is_too_long(text, MAX_WORDS, MAX_EXPLAINED_WORDS):
            return "too long"
        reason = self._judge_list(key, text)
        if reason:
            claim, explanation = self._split_explanation(key, text)
            if explanation:
                reason = self._judge_list(key, claim)
            items = self._named_members(key, claim)
            if reason == "wrong answer" and items:
                reason = self._judge_items(key, items)
        return reason

    def _judge_list(self, key: str, text: str) -> str:
        items = split_list(_without_frame(text, key))
        if not items or any(item not in self.others[key] for item in items):
            return "refusal" if answers.is_refusal(text) else "wrong answer"
        return self._judge_items(key, items)

    def _judge_items(self, key: str, items: list[str]) -> str:
        if len({self._singular(item) for item in items}) < len(items):
            return "repeated"
        return "" if len(items) == self.counts[key] else "wrong count"

    def _split_explanation(self, key: str, text: str) -> tuple[str, str]:
        """Split the text into its first sentence and an explanation after it that names no other member."""
        claim, _, rest = text.partition(". ")
        tokens = answers.tokenize(rest)
        new = {token for token in tokens if token in self._member_words[key]} - set(answers.tokenize(claim))
        explains = sum(token[0].isalpha() for token in tokens) >= MIN_EXPLANATION_WORDS
        return (claim, rest) if explains and not new and not answers.is_doubted(rest, ()) else (text, "")

    @cached_property
    def _member_words(self) -> Mapping[str, frozenset[str]]:
        return {key: frozenset(" ".join(members).split()) for key, members in self.others.items()}

    def _named_members(self, key: str, sentence: str) -> list[str]:
        """Return the members that a sentence names; none if it has words beside them, the frame and the question."""
        tokens = answers.tokenize(sentence)
        roles = {tuple(member.split()): "member" for member in self.others[key]}
        mentions = answers.find_mentions(tokens, roles)
        covered = {at for mention in mentions for at in range(mention.start, mention.end)}
        question = set(answers.tokenize(" ".join((key, *self.phrasings, *self.statements))))
        vocabulary: Collection[str] = _FRAME | question | {ListFamily._singular(word) for word in question}
        if any(token not in vocabulary for at, token in enumerate(tokens) if at not in covered):
            return []
        return [" ".join(tokens[mention.start : mention.end]) for mention in mentions]

    @staticmethod
    def _singular(item: str) -> str:
        for plural, singular in (("ies", "y"), ("oes", "o"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", "")):
            if item.endswith(plural):
                return item[: -len(plural)] + singular
        return item


def join_list(items: tuple[str, ...] | list[str]) -> str:
    """Join two or more items in English: "a and b", "a, b and c"."""
    return f"{', '.join(items[:-1])} and {items[-1]}"


def split_list(text: str) -> list[str]:
    """Split an enumeration by commas, semicolons, line ends, "and" and list numbers, and drop the articles."""
    text = re.sub(r"(?m)^\s*(?:[-*\u2022]|\d{1,2}[.)])\s+", "", answers.plain(text).casefold())
    parts = (part.strip(" .!*-\"'`\t") for part in re.split(r"[,;\n&]|\band\b|\s\d{1,2}[.)]\s", text))
    items = (re.sub(r"^(?:an?|the|some|or|\d{1,2}[.)])\s+", "", part) for part in parts)
    return [item for item in items if item]


def _without_frame(text: str, key: str) -> str:
    """Drop "Here are two fruits:" before the list, or "are two fruits" after it."""
    count, _, noun = key.partition(" ")
    subject = rf"(?:(?:{count}|some|the|examples? of|different)\s+)*{re.escape(noun)}"
    text = re.sub(rf"(?i)^\s*(?:sure[,!.]\s*)?(?:here (?:are|is)\s+)?{subject}\s*(?:are|:|\bis\b|-)\s*", "", text)
    text = re.sub(rf"(?i)^\s*here are\s*:\s*|^\s*an example of {subject} is\s+", "", text)
    return re.sub(rf"(?i)\s+are\s+{subject}\s*[.!]*\s*$", "", text)
