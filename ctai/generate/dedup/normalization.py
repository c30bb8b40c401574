"""Normal form, words, shingles and salient tokens of an instruction, and the Jaccard similarity of shingles.

Owns the comparison of texts. Instructions of one template have a Jaccard similarity of 0.6 to 0.75, so near-duplicates
must also agree in their salient tokens: numbers, names, quoted strings and letters. Does not own the decision about
duplicates (`ctai.generate.dedup.deduplication`).
"""

import re
import unicodedata
from typing import NamedTuple

_SHINGLE = 5

_QUOTES = r"\u2018\u2019\u201c\u201d\u00ab\u00bb"
_PUNCTUATION = re.compile(rf"[.,;:!?\"'()\[\]`{_QUOTES}]")
# fmt: off
_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)
# fmt: on
# a sign counts only beside numbers and spaces, so that a hyphen is none
_SIGN = r"(?<![^\s\d])[-+*/=<>%^\u2212\u00d7\u00f7](?![^\s\d])"
_NUMBER = re.compile(rf"\d+(?:[.,]\d+)*|{_SIGN}|\b(?:{'|'.join(_NUMBER_WORDS)})\b")
_WORD = re.compile(r"[^\W\d_]+")
_STOP_WORDS = frozenset({"a", "an", "the", "please"})
_LETTER = re.compile(r"(?<!['\u2019])\b[b-hj-z]\b")  # `a` and `i` are words too
_QUOTED = re.compile(
    r"\"([^\"]+)\"|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)"
    r"|\u201c([^\u201d]+)\u201d|\u2018([^\u2019]+)\u2019|\u00ab([^\u00bb]+)\u00bb"
)


class SalientTokens(NamedTuple):
    """Tokens in which near-duplicates must agree, in order: numbers and signs, names, quoted strings, letters."""

    numbers: tuple[str, ...]
    names: tuple[str, ...]
    quoted: tuple[str, ...]
    letters: tuple[str, ...]


def normalize(instruction: str) -> str:
    """Return the normal form of a text: NFKC, case-folded, single spaces, no final punctuation."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", instruction).casefold())
    text = " ".join(folded.split())
    return text.rstrip(" .?!:;,") or text


def bag_of_words(normal: str, salient: SalientTokens) -> tuple[tuple[str, ...], ...]:
    """Return the words of a text regardless of their order.

    Equal for texts that differ in word order, articles, "please" and the spelling of numbers, but not for texts that
    differ in the order of numbers, quoted strings or letters.

    Args:
        normal: a normalized text.
        salient: salient tokens of the text.
    """
    words = (word for word in _PUNCTUATION.sub("", normal).split() if word not in _STOP_WORDS)
    return tuple(sorted(map(_digits, words))), salient.numbers, salient.quoted, salient.letters


def shingles(instruction: str) -> frozenset[str]:
    """Return the character 5-grams of the normalized text without punctuation, with a space at either end."""
    return shingles_of_normal(normalize(instruction))


def shingles_of_normal(normal: str) -> frozenset[str]:
    """Return `shingles` of a text that is normalized already."""
    text = " ".join(_PUNCTUATION.sub("", normal).split())
    padded = f" {text} "
    return frozenset(padded[i : i + _SHINGLE] for i in range(max(1, len(padded) - _SHINGLE + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the size of the intersection over that of the union; the sets must not both be empty."""
    return len(a & b) / len(a | b)


def salient_tokens(instruction: str) -> SalientTokens:
    """Return the numbers, names (capitalized words but the first), quoted strings and single letters of a text."""
    text = unicodedata.normalize("NFKC", instruction)
    folded = text.casefold()
    return SalientTokens(
        numbers=tuple(_digits(number) for number in _NUMBER.findall(folded)),
        names=tuple(word.casefold() for word in _WORD.findall(text)[1:] if word[0].isupper()),
        quoted=tuple("".join(groups) for groups in _QUOTED.findall(folded)),
        letters=tuple(_LETTER.findall(folded)),
    )


def _digits(number: str) -> str:
    return str(_NUMBER_WORDS.index(number)) if number in _NUMBER_WORDS else number
