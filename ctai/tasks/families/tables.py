"""Families whose answers are in a table and are matched in free text: words, numbers, letters.

Owns the scoring of such a response: which answer it claims, and whether it claims another one as well. Does not own
the text rules (`ctai.tasks.matching`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ctai.tasks.base import MAX_EXPLAINED_WORDS, MAX_WORDS, Family
from ctai.tasks.matching import answers, claims, numbers
from ctai.tasks.matching.aliases import QUALIFIERS, aliases
from ctai.tasks.matching.answers import Mention


@dataclass(frozen=True, eq=False)
class TableFamily(Family):
    """Family whose answers are in a table and are matched in free text.

    Attributes:
        table: accepted answers of each key, the canonical one first.
        numeric: compare numbers, also those written as words.
        case_sensitive: compare with case, as for chemical symbols.
    """

    table: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numeric: bool = False
    case_sensitive: bool = False

    def accepted(self, key: str) -> tuple[str, ...]:
        """Return all accepted short answers, the canonical one first."""
        return self.table[key]

    def accepted_with_aliases(self, key: str) -> tuple[str, ...]:
        """Return the accepted answers and their aliases, all of which score as correct."""
        return (*self.accepted(key), *aliases(self.name, key, self.accepted(key)))

    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if answers.is_too_long(text, MAX_WORDS, MAX_EXPLAINED_WORDS):
            return "too long"
        if self.case_sensitive and not any(answer in " ".join(text.split()) for answer in self.accepted(key)):
            return "refusal" if answers.is_refusal(text) else "wrong answer"
        tokens = self._tokens(text)
        if self.numeric:
            tokens = numbers.drop_working(tokens, self.accepted(key), self.rates(key))
        return self._judge_tokens(key, text, tokens)

    def _judge_tokens(self, key: str, text: str, tokens: list[str]) -> str:
        roles = self._roles(key, tokens)
        allowed = {token.casefold() for phrase, role in roles.items() if role != "rival" for token in phrase}
        mentions = answers.find_mentions(tokens, roles)
        if not any(mention.role == "answer" for mention in mentions):
            return "refusal" if answers.is_refusal(text) else "wrong answer"
        assertions = [mention for mention in mentions if not answers.is_negated(tokens, mention, allowed)]
        correct = [mention for mention in assertions if mention.role == "answer"]
        if not correct:
            return "negated"
        repeats = Counter(tuple(tokens[mention.start : mention.end]) for mention in correct)
        if max(repeats.values()) > answers.MAX_REPEATS:
            return "repeated"
        if answers.is_doubted(text, self.accepted_with_aliases(key)):
            return "hedged"
        vocabulary = allowed | self._context_words(key)
        answer_positions = {at for mention in correct for at in range(mention.start, mention.end)}
        if self._claims_rival(key, tokens, assertions) or any(
            answers.has_alternative(tokens, mention, vocabulary, answer_positions) for mention in correct
        ):
            return "several answers"
        return "wrong answer" if self._is_off_target(key, text, tokens, mentions, correct[0], vocabulary) else ""

    def _claims_rival(self, key: str, tokens: list[str], assertions: list[Mention]) -> bool:
        """Return whether a wrong answer is claimed, or offered in an explanation."""
        mentions = [mention for mention in assertions if mention.role != "question"]
        spans = claims.find_spans(tokens, [mention.start for mention in mentions])
        question_words = self._asking_words - self._answer_words(key)
        return any(
            span.start <= mention.start < span.end
            and (not span.explains or claims.is_offered(tokens, mention.start, span, question_words))
            for mention in mentions
            if mention.role == "rival"
            for span in spans
        )

    def _is_off_target(
        self, key: str, text: str, tokens: list[str], mentions: list[Mention], first: Mention,
        vocabulary: set[str],
    ) -> bool:
        """Return whether the answer comes too late, beside another name, or with stray words."""
        is_late = first.start >= answers.answer_region(tokens, self._context_words(key))
        if is_late and not claims.concludes(tokens, first.start):
            return True
        if not (self.numeric or self.case_sensitive) and answers.names_another(
            text, first, vocabulary | self._rival_words
        ):
            return True
        return answers.has_stray_words(tokens, mentions, vocabulary | set(QUALIFIERS.get(self.name, ())))

    def _tokens(self, text: str) -> list[str]:
        return answers.tokenize(text, fold=not self.case_sensitive, numeric=self.numeric)

    def rates(self, key: str) -> tuple[str, ...]:
        """Return the conversion factors that the working may state, such as 24 hours in a day."""
        return ()

    def _roles(self, key: str, tokens: list[str]) -> dict[answers.Phrase, str]:
        """Map each phrase to its role in a response: answer, question or rival."""
        roles = self._rival_phrases.copy()
        if self.numeric:
            # "one" is more often a pronoun than a number.
            roles |= {(token,): "rival" for token in tokens if numbers.is_number(token) and token != "1"}
        if self.case_sensitive:
            roles |= self._miswritten(key, tokens)
        # Parts of the question are no rivals when the answer repeats them.
        roles |= self._question_phrases
        roles |= {(token,): "question" for token in self._tokens(key)}
        roles[tuple(self._tokens(key))] = "question"
        return roles | {tuple(self._tokens(answer)): "answer" for answer in self.accepted_with_aliases(key)}

    def _miswritten(self, key: str, tokens: list[str]) -> dict[answers.Phrase, str]:
        """Map the answer's occurrences in other capitals ("AU" for "Au") to the role of a rival."""
        answer = tuple(self._tokens(self.answer(key)))
        size, folded = len(answer), tuple(map(str.casefold, answer))
        phrases = (tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1))
        return {
            phrase: "rival" for phrase in phrases if tuple(map(str.casefold, phrase)) == folded and phrase != folded
        }

    @cached_property
    def _rival_phrases(self) -> dict[answers.Phrase, str]:
        phrases = (tuple(self._tokens(candidate)) for candidate in self.candidates())
        return {phrase: "rival" for phrase in phrases if phrase[0] not in answers.SOFT}

    @cached_property
    def _rival_words(self) -> frozenset[str]:
        return frozenset(word for phrase in self._rival_phrases for word in phrase)

    @cached_property
    def _question_phrases(self) -> dict[answers.Phrase, str]:
        return {(token,): "question" for phrase in self.phrasings for token in self._tokens(_without_slots(phrase))}

    @cached_property
    def _template_words(self) -> frozenset[str]:
        return frozenset(answers.tokenize(_without_slots(" ".join((*self.phrasings, *self.statements)))))

    @cached_property
    def _asking_words(self) -> frozenset[str]:
        """Return the content words of phrasings and statements, such as "capital"."""
        return frozenset(word for word in self._template_words if answers.is_content_word(word))

    def _context_words(self, key: str) -> frozenset[str]:
        """Return the words of question and statement, which repeat the question and are no second answer."""
        return self._template_words | frozenset(answers.tokenize(key, numeric=self.numeric))

    def _answer_words(self, key: str) -> frozenset[str]:
        phrases = map(self._tokens, self.accepted_with_aliases(key))
        return frozenset(token.casefold() for phrase in phrases for token in phrase)


def _without_slots(template: str) -> str:
    """Return a template without its slots, whose names are words too: "key" is an answer elsewhere."""
    return template.replace("{key}", " ").replace("{answer}", " ")


@dataclass(frozen=True, eq=False)
class LetterFamily(TableFamily):
    """Family whose answer is one letter, to be told apart from the article "a" and the pronoun "I"."""

    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if answers.is_too_long(text, MAX_WORDS, MAX_EXPLAINED_WORDS):
            return "too long"
        tokens = self._tokens(text)
        # A quoted letter is always meant as a letter.
        quoted = set(re.findall(r"[\"'*`]([a-z])[\"'*`.,]", answers.plain(text).casefold()))
        positions = [index for index in range(len(tokens)) if _names_letter(tokens, index, quoted)]
        if not positions:
            return "refusal" if answers.is_refusal(text) else "wrong answer"
        letters = {
            tokens[index]
            for index in positions
            if not answers.is_negated(tokens, answers.Mention(index, index + 1, "letter"), ())
        }
        if not letters:
            return "negated"
        if answers.is_doubted(text, ()):
            return "hedged"
        if self.answer(key) not in letters:
            return "wrong answer"
        return "" if len(letters) == 1 else "several answers"


def _names_letter(tokens: list[str], index: int, quoted: set[str]) -> bool:
    """Return whether the token names a letter; ``a`` and ``i`` do only in certain positions."""
    token = tokens[index]
    if len(token) != 1 or not token.isalpha():
        return False
    if token not in "ai" or token in quoted:
        return True
    before = tokens[index - 1] if index else ""
    after = tokens[index + 1] if index + 1 < len(tokens) else "."
    ends = after in ".,;:!?\n)/" or after in ("or", "and")
    return ends or before == "letter" or (index == 0 and after == "is")
