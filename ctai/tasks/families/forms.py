"""Families whose answer needs a form as well: capitals, quotation marks, brackets, stars, JSON, a number of repeats.

Owns the rules of the forms. A table decides whether the content is right where the form is that of one answer; a rule
compares the whole text, or the text after a short lead-in, where the layout is the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ctai.tasks.families.layouts import MAX_LEAD_IN_WORDS, NEGATION, bodies
from ctai.tasks.families.rules import Judge
from ctai.tasks.families.tables import TableFamily
from ctai.tasks.matching import answers
from ctai.tasks.matching.aliases import aliases

_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'))
_COMPARES = re.compile(r"\b(?:or|not|never)\b|n't\b", re.IGNORECASE)
_MARK = re.compile(r"(?m)^\s*(?:\d{1,2}[.)]|[-*\u2022])\s+")


class Form(NamedTuple):
    """Form of an answer.

    Attributes:
        dress: function from an answer to the answer in this form.
        patterns: regular expressions of the answer in this form; ``{answer}`` stands for the dressed answer in
            capitals, and for the bare answer in any case elsewhere.
        case_sensitive: capitals are the form.
    """

    dress: Callable[[str], str]
    patterns: tuple[str, ...]
    case_sensitive: bool = False

    def occurrences(self, answer: str, text: str) -> int:
        """Return the number of times that a text gives the answer in this form."""
        word = re.escape(self.dress(answer) if self.case_sensitive else answer)
        flags = 0 if self.case_sensitive else re.IGNORECASE
        return sum(len(re.findall(pattern.replace("{answer}", word), text, flags)) for pattern in self.patterns)


CAPITALS = Form(str.upper, (r"\b{answer}\b",), case_sensitive=True)
QUOTED = Form('"{}"'.format, (r"\"{answer}[.,!]?\"", r"(?<!\w)'{answer}[.,!]?'(?!\w)"))
BRACKETED = Form("({})".format, (r"\(\s*{answer}\s*\)", r"\[\s*{answer}\s*\]", r"\{\s*{answer}\s*\}"))
STARRED = Form("*{}*".format, (r"[*\u2605\u2606\u2b50]\s*{answer}\s*[*\u2605\u2606\u2b50]",))


@dataclass(frozen=True, eq=False)
class FormFamily(TableFamily):
    """Family whose answer is in a table, without its form, and must have the form in the response.

    Attributes:
        form: form of the answer.
    """

    form: Form = field(default=CAPITALS)

    def accepted(self, key: str) -> tuple[str, ...]:
        """Return all accepted answers in their form, the canonical one first."""
        return tuple(map(self.form.dress, self.table[key]))

    def judge(self, key: str, text: str) -> str:
        """Return the reason why a cleaned, non-empty response is wrong; an empty string if it is right."""
        reason = super().judge(key, text)
        return reason or self._judge_form(key, " ".join(answers.plain(text).translate(_QUOTES).split()))

    def _judge_form(self, key: str, text: str) -> str:
        """Require the form, and no text that offers or affirms another one ("Paris or PARIS", "not PARIS but Paris")."""
        names = [answers.plain(name) for name in (*self.table[key], *aliases(self.name, key, self.table[key]))]
        formed = sum(self.form.occurrences(name, text) for name in names)
        mentioned = sum(len(re.findall(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)) for name in names)
        compares = _COMPARES.search(text) is not None
        return "" if formed and (formed >= mentioned or not compares) else "wrong form"

    def _tokens(self, text: str) -> list[str]:
        return [token for token in super()._tokens(text) if token not in "()*"]


# ------------------------------------------------------------------------------------------------- whole texts


def judge_exact(table: Mapping[str, tuple[str, ...]], normalize: Callable[[str], object]) -> Judge:
    """Return a rule that compares the text, or the text after a short lead-in, with the answers of the table."""

    def judge(key: str, text: str) -> str:
        expected = [normalize(answer) for answer in table[key]]
        if any(normalize(body) in expected for body in bodies(answers.plain(text).translate(_QUOTES))):
            return ""
        return "refusal" if answers.is_refusal(text) else "wrong answer"

    return judge


def as_word(text: str) -> str:
    """Return one word without case, quotation marks, emphasis and final punctuation."""
    return text.strip(" \n\"'*`.!").casefold()


def as_words(text: str) -> tuple[str, ...]:
    """Return the words of a text of words, marks of lists and punctuation; none of any other text."""
    bare = _MARK.sub("", text)
    return tuple(re.findall(r"\w+", bare.casefold())) if re.fullmatch(r"[\w\s,;.!\"'*-]+", bare) else ()


def judge_pair(key: str, text: str) -> str:
    """Require one JSON object of the two words of the key, bare, in a code fence or after a short lead-in."""
    found = re.fullmatch(r"([^{}]*)(\{[^{}]*\})\s*(?:```)?\.?", answers.plain(text), re.DOTALL)
    if found is None or len(found[1].split()) > MAX_LEAD_IN_WORDS or NEGATION.search(found[1].casefold()):
        return "refusal" if answers.is_refusal(text) else "wrong answer"
    try:
        pairs = json.loads(found[2], object_pairs_hook=list)
    except (ValueError, RecursionError):
        return "no json"
    name, _, member = key.partition(" ")
    folded = [(str(field_name).casefold(), str(value).casefold()) for field_name, value in pairs]
    return "" if folded == [(name.casefold(), member.casefold())] else "wrong answer"
