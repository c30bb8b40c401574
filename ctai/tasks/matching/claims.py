"""Segmentation of a response into claims and explanations.

Owns one decision: does the mention of a wrong answer count as an answer? It does in a claim; in an explanation
("because ...", "for example ...", "each number is 10 more, so ...") only where it is offered as an answer. All
functions are linear in the length of the response.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ctai.tasks.data.lexicon import words

_SENTENCE_ENDS = frozenset(".!?\n")
_PAUSES = frozenset(",;:(\n.!?")
_EXPLAINS = frozenset(words("because since which where who whose"))
_SEQUELS = (("after", "that"), ("before", "that"))  # they introduce the answer to another question
_CONCLUDES = frozenset(words("so therefore thus hence"))
_OFFERS = frozenset(
    words(
        "or maybe perhaps possibly actually no wait also alternatively either might may could sorry correction instead "
        "rather but however others some else another not never"
    )
)
_COPULAS = frozenset(words("is are was were be called named = equal equals makes gives get becomes means answer"))
_ARTICLES = frozenset(words("a an the"))
MIN_EXPLANATION_WORDS = 5  # a shorter sentence after the answer is another answer: "Paris. It is Rome."


class Span(NamedTuple):
    """Part ``tokens[start:end]`` of a response: a claim, or an explanation."""

    start: int
    end: int
    explains: bool


def find_spans(tokens: Sequence[str], mention_starts: Collection[int]) -> list[Span]:
    """Split a response into claims and explanations.

    Args:
        tokens: tokens of the whole response.
        mention_starts: positions where a correct or wrong answer is mentioned.
    """
    cuts = _cuts(tokens, mention_starts)
    conclusion = max((at for at in cuts if tokens[at] in _CONCLUDES), default=-1)
    spans: list[Span] = []
    settled = False
    for start, end in zip(cuts, (*cuts[1:], len(tokens)), strict=True):
        opens_sentence = not start or tokens[start - 1] in _SENTENCE_ENDS
        leads = _explains(tokens, start)
        follows = settled and opens_sentence and _words(tokens[start:end]) >= MIN_EXPLANATION_WORDS
        explains = start < conclusion or (start != conclusion and (follows or (leads and settled)))
        if explains and not opens_sentence and spans and not leads:
            explains = spans[-1].explains or start < conclusion
        spans.append(Span(start, end, explains))
        settled |= not explains and any(start <= at < end for at in mention_starts)
    return spans


def _cuts(tokens: Sequence[str], mention_starts: Collection[int]) -> list[int]:
    """Return the positions where spans begin: at sentences, explaining words, and conclusions before an answer."""
    cuts = [0] if tokens else []
    last_mention = max(mention_starts, default=-1)
    for at in range(1, len(tokens)):
        opens = tokens[at - 1] in _SENTENCE_ENDS and tokens[at] not in _SENTENCE_ENDS
        pauses = tokens[at - 1] in _PAUSES or tokens[at - 1] == "and"
        concludes = tokens[at] in _CONCLUDES and last_mention > at and pauses
        if opens or concludes or _explains(tokens, at):
            cuts.append(at)
    return cuts


def _explains(tokens: Sequence[str], at: int) -> bool:
    return tokens[at] in _EXPLAINS or tuple(tokens[at : at + 2]) in _SEQUELS


def concludes(tokens: Sequence[str], at: int) -> bool:
    """Return whether the answer at a position is a conclusion from the text before it."""
    return not _CONCLUDES.isdisjoint(tokens[:at])


def _words(tokens: Sequence[str]) -> int:
    return sum(token[0].isalpha() for token in tokens)


def is_offered(tokens: Sequence[str], at: int, span: Span, question_words: Collection[str]) -> bool:
    """Return whether an explanation offers the answer that it mentions.

    Args:
        tokens: tokens of the whole response.
        at: position where the answer begins.
        span: the explanation.
        question_words: content words of the question; a sentence that repeats them gives another answer.
    """
    span_tokens = [token.casefold() for token in tokens[span.start : span.end]]
    before = [token for token in span_tokens[: at - span.start] if token not in _ARTICLES]
    if tuple(span_tokens[:2]) in _SEQUELS:
        return not _OFFERS.isdisjoint(span_tokens)
    begins = not any(token[0].isalnum() for token in before)
    return begins or before[-1] in _COPULAS or bool((_OFFERS | set(question_words)) & set(span_tokens))
