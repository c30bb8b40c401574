"""Families whose answers are looked up in a table, and recognized in free text: words, numbers, letters.

Owns the verdict on such a response: which answer it claims, and whether it claims another one as well. The text rules
are in ``matching``, ``claims`` and ``numbers``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ctai.tasks.base import MAX_EXPLAINED_WORDS, MAX_WORDS, Family
from ctai.tasks.matching import answers, claims, numbers
from ctai.tasks.matching.aliases import QUALIFIERS, aliases
from ctai.tasks.matching.answers import Mention


@dataclass(frozen=True, eq=False)
class TableFamily(Family):
    """A family whose answers are looked up in a table and recognized in free text.

    ``table`` holds the accepted answers of each key. ``numeric`` compares numbers, also when they are written as
    words. ``case_sensitive`` is for answers that case tells apart, such as chemical symbols.
    """

    table: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    numeric: bool = False
    case_sensitive: bool = False

    def accepted(self, key: str) -> tuple[str, ...]:
        """Return all accepted short answers, the canonical one first."""
        return self.table[key]

    def right(self, key: str) -> tuple[str, ...]:
        """Return all that judging takes for right: the accepted answers and their synonyms."""
        return (*self.accepted(key), *aliases(self.name, key, self.accepted(key)))

    def judge(self, key: str, text: str) -> str:
        """Return why a cleaned, non-empty response is wrong; an empty string if it is right."""
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
        affirmed = [mention for mention in mentions if not answers.is_negated(tokens, mention, allowed)]
        right = [mention for mention in affirmed if mention.role == "answer"]
        if not right:
            return "negated"
        if len(right) > answers.MAX_REPEATS:
            return "repeated"
        if answers.is_doubted(text, self.right(key)):
            return "hedged"
        known = allowed | self._own_words(key)
        answered = {at for mention in right for at in range(mention.start, mention.end)}
        if self._claims_a_rival(key, tokens, affirmed) or any(
            answers.has_alternative(tokens, mention, known, answered) for mention in right
        ):
            return "several answers"
        return "wrong answer" if self._is_beside_the_point(key, text, tokens, mentions, right[0], known) else ""

    def _claims_a_rival(self, key: str, tokens: list[str], affirmed: list[Mention]) -> bool:
        """Whether a wrong answer is claimed, or offered in an explanation."""
        claimed = [mention for mention in affirmed if mention.role != "question"]
        spans = claims.find_spans(tokens, [mention.start for mention in claimed])
        asked = self._asking_words - self._answer_words(key)
        return any(
            span.start <= mention.start < span.end
            and (not span.explains or claims.is_offered(tokens, mention.start, span, asked))
            for mention in claimed
            if mention.role == "rival"
            for span in spans
        )

    def _is_beside_the_point(
        self, key: str, text: str, tokens: list[str], mentions: list[Mention], first: Mention, known: set[str]
    ) -> bool:
        if first.start >= answers.answer_region(tokens, self._own_words(key)) and not claims.concludes(tokens, first.start):
            return True
        if not (self.numeric or self.case_sensitive) and answers.names_another(
            text, first, known | self._rival_words
        ):
            return True
        return answers.has_stray_words(tokens, mentions, known | set(QUALIFIERS.get(self.name, ())))

    def _tokens(self, text: str) -> list[str]:
        return answers.tokenize(text, fold=not self.case_sensitive, numeric=self.numeric)

    def rates(self, key: str) -> tuple[str, ...]:
        """Return numbers that the working may state as so many in one, such as 24 hours in a day."""
        return ()

    def _roles(self, key: str, tokens: list[str]) -> dict[answers.Phrase, str]:
        """Say what each phrase would mean in a response: the answer, the question, or a rival."""
        roles = self._rival_phrases.copy()
        if self.numeric:
            # "one" is more often a pronoun than a number.
            roles |= {(token,): "rival" for token in tokens if numbers.is_number(token) and token != "1"}
        if self.case_sensitive:
            roles |= self._miswritten(key, tokens)
        # Parts of the question are no rivals when they come back in the answer.
        roles |= self._question_phrases
        roles |= {(token,): "question" for token in self._tokens(key)}
        roles[tuple(self._tokens(key))] = "question"
        return roles | {tuple(self._tokens(answer)): "answer" for answer in self.right(key)}

    def _miswritten(self, key: str, tokens: list[str]) -> dict[answers.Phrase, str]:
        """Return the answer as it stands in the response with other capitals: "AU" for "Au"."""
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
        return {(token,): "question" for phrase in self.phrasings for token in self._tokens(phrase)}

    @cached_property
    def _template_words(self) -> frozenset[str]:
        return frozenset(answers.tokenize(" ".join((*self.phrasings, *self.statements))))

    @cached_property
    def _asking_words(self) -> frozenset[str]:
        """Return the words that name what is asked for, such as "capital"."""
        return frozenset(word for word in self._template_words if answers.is_content_word(word))

    def _own_words(self, key: str) -> frozenset[str]:
        """Return the words of question and statement, which take up the question and are no second answer."""
        return self._template_words | frozenset(answers.tokenize(key, numeric=self.numeric))

    def _answer_words(self, key: str) -> frozenset[str]:
        return frozenset(token.casefold() for answer in self.right(key) for token in self._tokens(answer))


@dataclass(frozen=True, eq=False)
class LetterFamily(TableFamily):
    """A family whose answer is one letter, which must not be confused with the article "a" or the pronoun
    "I"."""

    def judge(self, key: str, text: str) -> str:
        """Return why a cleaned, non-empty response is wrong; an empty string if it is right."""
        if answers.is_too_long(text, MAX_WORDS, MAX_EXPLAINED_WORDS):
            return "too long"
        tokens = self._tokens(text)
        # A quoted letter is always meant as a letter.
        quoted = set(re.findall(r"[\"'*`]([a-z])[\"'*`.,]", answers.plain(text).casefold()))
        places = [index for index in range(len(tokens)) if _names_letter(tokens, index, quoted)]
        if not places:
            return "refusal" if answers.is_refusal(text) else "wrong answer"
        named = [
            index
            for index in places
            if not answers.is_negated(tokens, answers.Mention(index, index + 1, "letter"), ())
        ]
        letters = {tokens[index] for index in named}
        if not letters:
            return "negated"
        if answers.is_doubted(text, ()):
            return "hedged"
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
