"""Which part of a response claims the answer, and which part only explains it.

Owns one question: does a wrong answer that is mentioned count as given? What a response claims counts; in its
explanation ("because ...", "for example ...", "each number is 10 more, so ...") it counts only where it is offered as
an answer after all. All functions are linear in the length of the response.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ctai.tasks.data.lexicon import words

_SENTENCE_ENDS = frozenset(".!?\n")
_PAUSES = frozenset(",;:(\n.!?")
_EXPLAINS = frozenset(words("because since which where who whose"))
_SEQUELS = (("after", "that"), ("before", "that"))  # what comes then is the answer to another question
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
    """A part ``tokens[start:end]`` of a response, and whether it only explains."""

    start: int
    end: int
    explains: bool


def find_spans(tokens: Sequence[str], answered: Collection[int]) -> list[Span]:
    """Part a response into claims and explanations.

    Args:
        tokens: of the whole response.
        answered: the places where a right or wrong answer is mentioned.
    """
    cuts = _cuts(tokens, answered)
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
        settled |= not explains and any(start <= at < end for at in answered)
    return spans


def _cuts(tokens: Sequence[str], answered: Collection[int]) -> list[int]:
    """Where spans begin: sentences, explaining words, and concluding words that an answer follows."""
    cuts = [0] if tokens else []
    ahead = max(answered, default=-1)
    for at in range(1, len(tokens)):
        opens = tokens[at - 1] in _SENTENCE_ENDS and tokens[at] not in _SENTENCE_ENDS
        concludes = tokens[at] in _CONCLUDES and ahead > at and (tokens[at - 1] in _PAUSES or tokens[at - 1] == "and")
        if opens or concludes or _explains(tokens, at):
            cuts.append(at)
    return cuts


def _explains(tokens: Sequence[str], at: int) -> bool:
    return tokens[at] in _EXPLAINS or tuple(tokens[at : at + 2]) in _SEQUELS


def concludes(tokens: Sequence[str], at: int) -> bool:
    """Whether the answer at a place is a conclusion from what stands before it."""
    return not _CONCLUDES.isdisjoint(tokens[:at])


def _words(tokens: Sequence[str]) -> int:
    return sum(token[0].isalpha() for token in tokens)


def is_offered(tokens: Sequence[str], at: int, span: Span, asked: Collection[str]) -> bool:
    """Whether an answer that an explanation mentions is given as one.

    Args:
        tokens: of the whole response.
        at: where the answer begins.
        span: the explanation it stands in.
        asked: the words that the question is asked with; a sentence that takes them up answers again.
    """
    inside = [token.casefold() for token in tokens[span.start : span.end]]
    before = [token for token in inside[: at - span.start] if token not in _ARTICLES]
    if tuple(inside[:2]) in _SEQUELS:
        return not _OFFERS.isdisjoint(inside)
    begins = not any(token[0].isalnum() for token in before)
    return begins or before[-1] in _COPULAS or bool((_OFFERS | set(asked)) & set(inside))
