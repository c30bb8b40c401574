"""Detector of answers that repeat signs, words, phrases, lines, sentences or list items."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from ctai.qc.detectors.layout import count_words

_WORDS = re.compile(r"\w+(?:['\u2019]\w+)*")
_LIST_MARK = re.compile(r"^[ \t]*(?:\(?\d{1,3}[.)]|[-*\u2022]|[^\W\d_]{1,12} \d{1,3}[:.)])[ \t]+")
_INLINE_MARK = re.compile(r"(?<!\S)\(?\d{1,3}[.)](?=\s)")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\u201d]*\s+|\n+")
# A sign too often in a row; rules, blanks, dots and the zeros of a large number are legitimate.
_SIGN_RUN = re.compile(r"([^\W\d_])\1{14,}|([^\w\s.\u2026=*~#|+\u00b7\u2022-])\2{9,}|(\d)\3{149,}")
_UNIT_RUN = re.compile(r"([^\W\d_][^\n]{0,11}?)\1{11,}")
_CODE_LINE = re.compile(r"[{}\[\]<>=]|\w\(|^(?:end|else|pass|done|fi|return|break|endif|continue)\b")
# (words in the phrase, copies in a row that are too many): people do say "very, very" and "no, no, no"
_COPIES = ((1, 6), (2, 4), (3, 4), (4, 3), (5, 3), (6, 3), (7, 3), (8, 3), (9, 3), (10, 3), (12, 3))
_REFRAIN_SHARE = 0.4  # of the lines of a text: a song repeats less


def repeats(text: str) -> bool:
    """Return whether a text repeats itself more often than human texts do.

    Args:
        text: the response without its fenced code.
    """
    checks = (_repeats_signs, _repeats_lines, _repeats_sentences, _repeats_phrase, _repeats_items, _repeats_blocks)
    return any(check(text) for check in checks)


def _repeats_signs(text: str) -> bool:
    return bool(_SIGN_RUN.search(text) or _UNIT_RUN.search(text))


def _repeats_lines(text: str) -> bool:
    """Return whether equal lines make up much of the text, or two long ones adjoin; code and tables do not count."""
    lines = [_LIST_MARK.sub("", line).strip().casefold() for line in text.split("\n")]
    lines = [line for line in lines if re.search(r"[^\W\d_]{2}", line) and not line.startswith("|")]
    lines = [line for line in lines if not _CODE_LINE.search(line)]
    most, copies = _most(lines), len(lines) - len(set(lines))
    if most >= 3 and (most >= 5 or copies >= _REFRAIN_SHARE * len(lines)):
        return True
    in_a_row = any(a == b and count_words(a) >= 4 for a, b in pairwise(lines))
    return in_a_row and (len(lines) < 6 or copies >= _REFRAIN_SHARE * len(lines))


def _most(items: Sequence[str]) -> int:
    """Return the count of the most frequent item."""
    return max(Counter(items).values(), default=0)


def _repeats_sentences(text: str) -> bool:
    """Return whether a sentence of at least four words recurs: twice in a row, three times, or as a refrain."""
    lines = [_LIST_MARK.sub("", line) for line in text.split("\n") if not line.lstrip().startswith("|")]
    parts = [part for part in _SENTENCE_END.split("\n".join(lines)) if not _CODE_LINE.search(part)]
    sentences = [" ".join(_WORDS.findall(part.casefold())) for part in parts]
    sentences = [sentence for sentence in sentences if count_words(sentence) >= 4]
    if len(sentences) >= 6 and "\n" in text:
        return _most(sentences) >= 3 and len(sentences) - len(set(sentences)) >= _REFRAIN_SHARE * len(sentences)
    recurs = any(a == b for a, b in pairwise(sentences)) or any(
        sentences[at - 2 : at] == sentences[at : at + 2] for at in range(2, len(sentences) - 1)
    )
    return _most(sentences) >= 3 or recurs


def _repeats_phrase(text: str) -> bool:
    """Return whether a phrase recurs too often in a row; numbers alone repeat in legitimate tables and sequences."""
    words = _WORDS.findall(_INLINE_MARK.sub(" ", text.casefold()))
    return any(_copies(words, size) >= limit for size, limit in _COPIES)


def _copies(words: Sequence[str], size: int) -> int:
    """Return the most copies in a row of any phrase of `size` words; a short phrase of numbers does not count."""
    longest = run = 0
    for at in range(size, len(words)):
        run = run + 1 if words[at] == words[at - size] else 0
        if run > longest and (size > 2 or not all(word.isdigit() for word in words[at - size + 1 : at + 1])):
            longest = run
    return longest // size + 1 if longest else 1


def _repeats_items(text: str) -> bool:
    """Return whether most of the eight or more items of a list within a line are copies."""
    for line in text.split("\n"):
        items = [item.strip(" .").casefold() for item in line.split(",")]
        items = [item for item in items if re.search(r"[^\W\d_]{2}", item) and count_words(item) <= 5]
        if len(items) >= 8 and len(set(items)) <= len(items) / 2:
            return True
    return False


def _repeats_blocks(text: str) -> bool:
    """Return whether more than half of a longer text are word triples that occur three times or more."""
    words = _WORDS.findall(text.casefold())
    if len(words) < 24:
        return False
    triples = [
        triple for triple in zip(words, words[1:], words[2:], strict=False) if not any(w.isdigit() for w in triple)
    ]
    counts = Counter(triples)
    return sum(count for count in counts.values() if count >= 3) > 0.5 * len(words)
